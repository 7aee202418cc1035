// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_handlers.hh"

#include "arguments.hh"
#include "job_view.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;
using jobs::Engine;
using jobs::JobId;

bool is_at_rest(const jobs::Job &job)
{
	return is_final(job.state) || job.state == jobs::JobState::stalled;
}

Result<Json> list(Engine &engine, const Json &arguments)
{
	const auto state = arguments.value("state", std::string());
	const auto kind = arguments.value("kind", std::string());
	auto found = Json::array();

	for (const auto &job : CORBEL_EXPECT(engine.list()))
		if ((state.empty() || name_of(job.state) == state) &&
		    (kind.empty() || job.kind == kind))
			found.push_back(view_of(job, engine));
	return Json{{"jobs", std::move(found)}};
}

/* At most two a second, however fast it changes. */
Result<void> watch(Engine &engine, JobId id, Reply &reply)
{
	for (state::Version seen = 0, before = 0;; before = seen) {
		const auto job = CORBEL_EXPECT(engine.change_seen(id, seen, 500ms));

		if (reply.gone())
			return failure(ECONNRESET, "The daemon ends.");
		if (seen == before)
			continue;
		if (!reply.send(view_of(job, engine)) || is_at_rest(job))
			return {};
	}
}

/* @can: what it takes to be told; the engine has the last word when it is done. */
Result<Json> change(Engine &engine, const Json &arguments,
		    Result<jobs::Job> (Engine::*how)(JobId, bool))
{
	const auto id = arguments.at("job").get<JobId>();
	const auto before = CORBEL_EXPECT(engine.get(id));
	const auto job = CORBEL_EXPECT((engine.*how)(id, is_dry(arguments)));

	return Json{{"job", view_of(job, engine)},
		    {"dry_run", is_dry(arguments)},
		    {"changed", before.cancel != job.cancel || before.state != job.state}};
}

} /* namespace */

void add_job_handlers(Dispatcher &dispatcher, Engine &engine)
{
	dispatcher.add_object(cli::job_list_verb,
			      [&](const Json &arguments) { return list(engine, arguments); });
	dispatcher.add_object(cli::job_show_verb, [&](const Json &arguments) -> Result<Json> {
		const auto job = CORBEL_EXPECT(engine.get(arguments.at("job")));

		return Json{{"job", view_of(job, engine)}};
	});
	dispatcher.add(cli::job_watch_verb, [&](const Json &arguments, Reply &reply) {
		return watch(engine, arguments.at("job"), reply);
	});
	dispatcher.add_object(cli::job_cancel_verb, [&](const Json &arguments) {
		return change(engine, arguments, &Engine::cancel);
	});
	dispatcher.add_object(cli::job_resume_verb, [&](const Json &arguments) {
		return change(engine, arguments, &Engine::resume);
	});
}

Result<Json> begin_job(Engine &engine, std::string_view kind, const Json &argument,
		       const Json &arguments, std::string plan)
{
	const auto key = arguments.value("key", std::string());
	Json answer{{"job", nullptr},
		    {"plan", std::move(plan)},
		    {"dry_run", is_dry(arguments)},
		    {"changed", true}};

	if (is_dry(arguments)) {
		const auto before = CORBEL_EXPECT(engine.find(kind, argument, key));

		answer["changed"] = !before;
		if (!before)
			CORBEL_EXPECT(engine.check(kind, argument));
		return answer;
	}
	bool made = false;
	const auto job = CORBEL_EXPECT(engine.submit(kind, argument, key, &made));
	answer["job"] = view_of(job, engine);
	answer["changed"] = made;
	return answer;
}

} /* namespace corbel::daemon */
