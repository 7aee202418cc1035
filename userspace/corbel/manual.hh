/* SPDX-License-Identifier: GPL-2.0-or-later */
/* manual.hh - the manual pages, made from the table of verbs. */
#pragma once

#include "verb.hh"

#include <string>

namespace corbel::cli {

/* corbel(1), and corbel-irq-show(1) and the like: troff with the man macros. */
[[nodiscard]] std::string man_page();
[[nodiscard]] std::string man_page(const Verb &verb);

/* A section of Documentation/verbs.md, and all of it. */
[[nodiscard]] std::string markdown_page(const Verb &verb);
[[nodiscard]] std::string markdown_page();

/* "irq top [--interval S] [--json] VM" */
[[nodiscard]] std::string synopsis_of(const Verb &verb);

/* "0.05 .. 3600 s", "json, csv", or nothing. */
[[nodiscard]] std::string values_of(const Argument &argument);

} /* namespace corbel::cli */
