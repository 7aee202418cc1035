/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kicker.hh - gets the vCPU's thread out of KVM_RUN: by a signal, which finds a guest that does
 * not leave by itself between two of its instructions.
 */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/kvm_abi.hh>

#include <chrono>
#include <ctime>
#include <memory>

namespace corbel::vmm {

class Kicker {
public:
	/* Of the calling thread, which has one at most. @area: of the vCPU it runs. */
	[[nodiscard]] static Result<std::unique_ptr<Kicker>> create(kvm_run &area);
	~Kicker();
	Kicker(const Kicker &) = delete;
	Kicker &operator=(const Kicker &) = delete;

	/* By any thread. */
	void kick() const;
	/* And again and again. */
	[[nodiscard]] Result<void> kick_every(std::chrono::nanoseconds period);

private:
	Kicker() = default;

	pid_t thread_ = 0;
	timer_t timer_ = nullptr;
	bool has_timer_ = false;
};

} /* namespace corbel::vmm */
