/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.hh - /metrics, for Prometheus.
 *
 * A scrape is answered from what the gatherers saw last, and so waits for nothing: neither
 * for a guest that hangs, nor for a call of a module that does not return.
 */
#pragma once

#include "gatherer.hh"
#include "job_gatherer.hh"

#include <atomic>
#include <memory>
#include <string>

#include <prometheus/collectable.h>

namespace prometheus {
class Exposer;
} /* namespace prometheus */

namespace corbel::metrics {

/* Outlived by both gatherers. */
class Metrics final : public prometheus::Collectable {
public:
	Metrics(const Gatherer &vms, const JobGatherer &jobs) : vms_(vms), jobs_(jobs) {}

	[[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

private:
	void add_daemon(Families &families) const;

	const Gatherer &vms_;
	const JobGatherer &jobs_;
	const std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
	mutable std::atomic<double> duration_ = 0;
};

class Service {
public:
	/* What the functions use must outlive it. */
	Service(Gatherer::Guests guests, JobSources jobs);
	~Service();
	Service(const Service &) = delete;

	/* On "ADDRESS:PORT". EADDRINUSE: that cannot be had. */
	[[nodiscard]] Result<void> listen(const std::string &address);

private:
	Gatherer vms_;
	JobGatherer jobs_;
	std::shared_ptr<Metrics> metrics_;
	std::unique_ptr<prometheus::Exposer> exposer_;
};

} /* namespace corbel::metrics */
