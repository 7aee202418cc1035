/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terminal.hh - a full-screen view that always gives the terminal back.
 *
 * The view lives on the alternate screen, so what was there before returns when
 * it ends: on destruction, on suspend, and from a handler if the program dies of
 * a fault.
 */
#pragma once

#include "irq_text.hh"

#include <span>

namespace corbel::cli {

class Terminal {
public:
	/* Standard output must be a terminal; there is one Terminal at a time. */
	Terminal();
	~Terminal();
	Terminal(const Terminal &) = delete;
	Terminal &operator=(const Terminal &) = delete;

	/* As it is now: it changes under us. */
	[[nodiscard]] static Room size();

	/* Replaces what is shown; false if the terminal is gone. */
	[[nodiscard]] bool draw(std::span<const Line> lines);

	/* Gives the terminal back, stops this process, takes it again on SIGCONT. */
	void stop_here();

private:
	void enter();
	void leave();
};

} /* namespace corbel::cli */
