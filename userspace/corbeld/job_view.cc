// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_view.hh"

#include "../corbel/quantity.hh"

#include <algorithm>

namespace corbel::daemon {

using jobs::Json;

namespace {

Json view_of(const jobs::Progress &progress)
{
	const bool known = progress.rate > 0 && progress.total >= progress.done;

	return {{"done", progress.done},
		{"total", progress.total},
		{"unit", progress.unit},
		{"rate_per_s", progress.rate},
		{"remaining_s",
		 known ? Json(static_cast<double>(progress.total - progress.done) / progress.rate)
		       : Json(nullptr)}};
}

} /* namespace */

Json view_of(const jobs::Warning &warning)
{
	return {{"severity", name_of(warning.severity)},
		{"text", warning.text},
		{"count", warning.count},
		{"first", cli::show_time(warning.first)},
		{"last", cli::show_time(warning.last)}};
}

Json view_of(const jobs::Job &job, const jobs::Engine &engine)
{
	const auto *kind = engine.kind_of(job.kind);
	auto warnings = Json::array();

	for (const auto &warning : job.warnings)
		warnings.push_back(view_of(warning));
	return {{"id", job.id},
		{"kind", job.kind},
		{"state", name_of(job.state)},
		{"argument", job.argument},
		{"key", job.key},
		{"step",
		 {{"name", job.step_name},
		  {"number", std::min<std::size_t>(job.step + 1, kind ? kind->steps.size() : 0)},
		  {"count", kind ? kind->steps.size() : 0},
		  {"commit", kind ? kind->commit + 1 : 0}}},
		{"cancelling", job.cancel && !is_final(job.state)},
		{"progress", view_of(job.progress)},
		{"warnings", std::move(warnings)},
		{"error", job.error},
		{"stalled_by", job.stalled_by},
		{"created", cli::show_time(job.created)},
		{"updated", cli::show_time(job.updated)},
		{"attempts", job.attempts},
		{"result", job.data.value("result", Json(nullptr))}};
}

} /* namespace corbel::daemon */
