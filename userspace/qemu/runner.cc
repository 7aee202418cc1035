// SPDX-License-Identifier: GPL-2.0-or-later
#include "runner.hh"

#include "definitions.hh"
#include "launcher.hh"
#include "process.hh"
#include "qmp.hh"
#include "vm_process.hh"

#include <poll.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

using namespace std::chrono_literals;
using jobs::Severity;
using jobs::Work;

constexpr auto ask_limit = 2s;

std::string name_in(const jobs::Json &argument)
{
	return argument.at("vm").get<std::string>();
}

Runtime runtime_of(const RunnerOptions &options, Work &work)
{
	return {options.root, name_in(work.argument())};
}

std::unexpected<Error> interrupted()
{
	return failure(EINTR, "It was interrupted.");
}

/* False: it goes on for longer than @limit. */
Result<bool> wait_for_end(const Launch &launch, std::chrono::milliseconds limit, Work &work)
{
	bool stopped = false;
	const auto ended = qemu::wait_for_end(launch, limit, [&] {
		stopped = work.interrupted();
		return stopped;
	});

	if (stopped)
		return interrupted();
	return ended;
}

/* ---- start ------------------------------------------------------------------------- */

class Start {
public:
	Start(state::Store &store, RunnerOptions options)
		: store_(store), options_(std::move(options))
	{}

	/* What is defined meanwhile is for the next start. */
	[[nodiscard]] Result<void> prepare(Work &work) const
	{
		const auto name = name_in(work.argument());
		const auto text = json_of(CORBEL_EXPECT(definition(store_, name))).dump();

		CORBEL_EXPECT(description_of(text, fmt::format("The definition of '{}'", name),
					     FileCheck::yes));
		work.data()["description"] = text;
		work.data()["token"] = CORBEL_EXPECT(make_uuid());
		return {};
	}

	[[nodiscard]] Result<void> launch(Work &work) const
	{
		const auto runtime = runtime_of(options_, work);
		const auto lock = CORBEL_EXPECT(runtime.lock([&] { return work.interrupted(); }));
		const auto vm = CORBEL_EXPECT(description_of(
			work.data().at("description").get<std::string>(), "", FileCheck::no));
		const auto path = CORBEL_EXPECT(find_program(options_.program));

		CORBEL_EXPECT(runtime.make());
		auto found = CORBEL_EXPECT(look(runtime));
		if (found.running) {
			if (!is_ours(work, *found.running))
				work.warn(Severity::info,
					  fmt::format("It ran already, as process {}: nothing "
						      "was changed.",
						      found.running->pid));
			return {};
		}
		CORBEL_EXPECT(remove_traces(options_, runtime));
		const auto &backing = vm.memory_backing;
		StartWish wish{.vm = vm,
			       .token = work.data().at("token").get<std::string>(),
			       .command = {.memory_object = backing != "ordinary"},
			       .warn = [&](Severity severity, std::string text) {
				       work.warn(severity, std::move(text));
			       }};
		auto started = start_qemu(options_, runtime, std::move(*found.alive), wish);
		if (started || started.error().number != EOPNOTSUPP || !backing.empty())
			return started;
		/* Nobody has asked for a memory object: it has to do without. */
		work.warn(Severity::warning,
			  fmt::format("{} It has ordinary memory, and cannot be moved to another "
				      "host by post-copy.",
				      started.error().sentence));
		auto again = CORBEL_EXPECT(look(runtime));
		if (!again.alive)
			return failure(EBUSY, "The process that was to be QEMU does not end.");
		CORBEL_EXPECT(remove_traces(options_, runtime));
		wish.command.memory_object = false;
		return start_qemu(options_, runtime, std::move(*again.alive), wish);
	}

	/* One that runs for somebody else need not be waited for. */
	[[nodiscard]] Result<void> wait_ready(Work &work) const
	{
		const auto runtime = runtime_of(options_, work);
		const Deadline deadline(options_.ready_limit);

		for (;;) {
			const auto launch = runtime.launch();

			if (!launch || !is_alive(launch->pid, launch->started))
				return failure(ECHILD,
					       fmt::format("QEMU ended before it was ready: {}.",
							   runtime.last_words()));
			if (!is_ours(work, *launch))
				return {};
			auto monitor = Qmp::connect(runtime.monitor(), ask_limit, launch->pid);
			if (monitor && monitor->execute("query-status", ask_limit))
				return {};
			if (work.interrupted())
				return interrupted();
			if (deadline.passed())
				return failure(ETIMEDOUT, monitor ? "QEMU does not answer in time."
								  : monitor.error().sentence);
			::poll(nullptr, 0, 10);
		}
	}

	/* A folder without a record is of a launch that died on the way. */
	[[nodiscard]] Result<void> end(Work &work) const
	{
		const auto runtime = runtime_of(options_, work);
		const auto lock = CORBEL_EXPECT(runtime.lock([&] { return work.interrupted(); }));
		const auto found = CORBEL_EXPECT(look(runtime));
		const auto launch = runtime.launch();

		if ((!found.running && !found.alive) || (launch && !is_ours(work, *launch)))
			return {};
		if (found.running) {
			CORBEL_EXPECT(end_now(*found.running));
			/* Until the last of its threads has let go of the lock. */
			(void)CORBEL_EXPECT(look(runtime));
		}
		return clear(options_, runtime);
	}

private:
	[[nodiscard]] static bool is_ours(Work &work, const Launch &launch)
	{
		return launch.token == work.data().value("token", std::string());
	}

	state::Store &store_;
	RunnerOptions options_;
};

/* ---- stop -------------------------------------------------------------------------- */

/* That it was sent; what comes of it is seen by whether QEMU ends. */
Result<void> tell(const Runtime &runtime, const Launch &launch, const char *command)
{
	auto monitor = CORBEL_EXPECT(Qmp::connect(runtime.monitor(), ask_limit, launch.pid));

	const auto id = CORBEL_EXPECT(monitor.send(command, ask_limit));

	/* A reply to `quit` need not come. */
	(void)monitor.wait(id, ask_limit);
	return {};
}

/* Each means is tried once the gentler one has not helped. */
Result<void> escalate(const RunnerOptions &options, const Runtime &runtime, const Launch &launch,
		      Work &work)
{
	struct Means {
		const char *command;
		std::chrono::milliseconds limit;
	};

	for (const auto &[command, limit] : {Means{"system_powerdown", options.powerdown_limit},
					     Means{"quit", options.quit_limit}}) {
		if (work.argument().value("force", false) && command != std::string("quit"))
			continue;
		const auto told = tell(runtime, launch, command);
		if (told && CORBEL_EXPECT(wait_for_end(launch, limit, work)))
			return {};
		if (!is_alive(launch.pid, launch.started))
			return {};
		work.warn(Severity::warning,
			  told ? fmt::format("It did not end by '{}' within {} s.", command,
					     std::chrono::duration_cast<std::chrono::seconds>(limit)
						     .count())
			       : told.error().sentence);
	}
	return end_now(launch);
}

/* The one that ran when this began: who starts it again meanwhile has another token. */
Result<void> stop(const RunnerOptions &options, Work &work)
{
	const auto runtime = runtime_of(options, work);
	const auto lock = CORBEL_EXPECT(runtime.lock([&] { return work.interrupted(); }));
	const auto found = CORBEL_EXPECT(look(runtime));
	auto &data = work.data();

	if (!data.contains("token")) {
		data["token"] = found.running ? found.running->token : "";
		CORBEL_EXPECT(work.save());
		if (!found.running)
			work.warn(Severity::info, "It did not run: nothing was changed.");
	}
	if (!found.running || data.at("token") != found.running->token)
		return {};
	return escalate(options, runtime, *found.running, work);
}

Result<void> clean(const RunnerOptions &options, Work &work)
{
	const auto runtime = runtime_of(options, work);
	const auto lock = CORBEL_EXPECT(runtime.lock([&] { return work.interrupted(); }));
	const auto found = CORBEL_EXPECT(look(runtime));

	if (found.running)
		return {};
	return clear(options, runtime);
}

Result<void> check_name(const jobs::Json &argument)
{
	if (is_vm_name(name_in(argument)))
		return {};
	return failure(EINVAL, "A VM's name has letters, digits, dots, underscores and dashes, at "
			       "most 60 of them.");
}

} /* namespace */

jobs::JobKind start_job(state::Store &store, RunnerOptions options)
{
	const auto start = std::make_shared<const Start>(store, std::move(options));

	return {.name = start_kind,
		.steps = {{.name = "prepare",
			   .run = [start](Work &work) { return start->prepare(work); }},
			  {.name = "launch",
			   .run = [start](Work &work) { return start->launch(work); },
			   .undo = [start](Work &work) { return start->end(work); }},
			  {.name = "wait-ready",
			   .run = [start](Work &work) { return start->wait_ready(work); }}},
		.commit = 3,
		.check = [&store](const jobs::Json &argument) -> Result<void> {
			CORBEL_EXPECT(check_name(argument));
			CORBEL_EXPECT(definition(store, name_in(argument)));
			return {};
		}};
}

jobs::JobKind stop_job(const RunnerOptions &options)
{
	return {.name = stop_kind,
		.steps = {{.name = "stop",
			   .run = [options](Work &work) { return stop(options, work); }},
			  {.name = "clean",
			   .run = [options](Work &work) { return clean(options, work); }}},
		.commit = 0,
		.check = check_name};
}

} /* namespace corbel::qemu */
