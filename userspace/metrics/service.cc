// SPDX-License-Identifier: GPL-2.0-or-later
#include "service.hh"

#include "host_looker.hh"
#include "vm_families.hh"

#include <corbel/corbel.h>
#include <corbel/version.h>

#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <prometheus/exposer.h>

namespace corbel::metrics {

namespace {

/* Who connects and then says nothing has one of few threads, and not for long. */
constexpr const char *threads = "4";
constexpr const char *patience_ms = "5000";

} /* namespace */

std::vector<prometheus::MetricFamily> Metrics::Collect() const
{
	const auto begun = std::chrono::steady_clock::now();
	Families families;

	add_daemon(families);
	jobs_.add(families);
	add_vms(families, vms_.view());
	duration_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
	return families.take();
}

void Metrics::add_daemon(Families &families) const
{
	const std::chrono::duration<double> started = since_.time_since_epoch();
	const std::chrono::duration<double> up = std::chrono::system_clock::now() - since_;
	std::error_code error;

	families.add(Metric::build, {{"version", CORBEL_VERSION}}, 1);
	families.add(Metric::start_time, {}, started.count());
	families.add(Metric::uptime, {}, up.count());
	families.add(Metric::scrape_duration, {}, duration_);
	families.add(Metric::modules_loaded, {},
		     std::filesystem::exists(CORBEL_DEVICE, error) ? 1 : 0);
}

Service::Service(Gatherer::Guests guests, JobSources jobs)
	: vms_(std::move(guests), std::make_shared<HostLooker>()),
	  jobs_(std::move(jobs)),
	  metrics_(std::make_shared<Metrics>(vms_, jobs_))
{}

Service::~Service() = default;

Result<void> Service::listen(const std::string &address)
{
	try {
		exposer_ = std::make_unique<prometheus::Exposer>(
			std::vector<std::string>{"listening_ports", address, "num_threads", threads,
						 "request_timeout_ms", patience_ms});
	} catch (const std::exception &error) {
		return failure(EADDRINUSE,
			       fmt::format("Metrics are not served: {} cannot be listened at ({}). "
					   "Name another ADDRESS:PORT with --metrics, or none with "
					   "--metrics ''.",
					   address, error.what()));
	}
	exposer_->RegisterCollectable(metrics_);
	return {};
}

} /* namespace corbel::metrics */
