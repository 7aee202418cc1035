// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq_device.cc - a distributor device for as long as this program runs.
 *
 * Commands come line by line and are done one after the other. A line that cannot be
 * done changes nothing; it is named, and the next one is read.
 */
#include "device_command.hh"
#include "device_state.hh"
#include "dist_text.hh"
#include "output_file.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "verb.hh"
#include "wakeup.hh"

#include <libcorbel/text_file.hh>

#include <corbel/dist_counts.hh>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string target;
	std::uint32_t ids = 0; /* 0: none is made, those that there are are listed */
	std::uint32_t vcpus = 0; /* 0: as many as the virtual machine has */
	std::vector<std::string> commands;
	bool dry_run = false;
	bool json = false;
};

/* What a command came to: lines for people, members of an object for scripts. */
struct Answer {
	std::vector<std::string> lines;
	Json json = Json::object();
};

std::string show_entry(const corbel_dist_entry &entry)
{
	return fmt::format("{}: vCPU {}, vector {}, priority {}{}{}", entry.id, entry.vcpu,
			   show_vector(entry.vector), entry.priority,
			   entry.state & CORBEL_DIST_MASKED ? ", masked" : "",
			   entry.state & CORBEL_DIST_PENDING ? ", pending" : "");
}

/* Of a command without ids: all of them. */
std::vector<IdRange> ranges_of(const DeviceCommand &command, const Distributor &device)
{
	if (command.ids.empty())
		return {{0, device.ids()}};
	return command.ids;
}

Result<Answer> map(const Distributor &device, const DeviceCommand &command)
{
	CORBEL_EXPECT(device.map({&command.entry, 1}));
	/* As it is now: what was pending before may still be. */
	const auto entry = CORBEL_EXPECT(device.read(command.entry.id, 1)).front();
	return Answer{{"map " + show_entry(entry)}, {{"entry", json_of(entry)}}};
}

Result<Answer> unmap(const Distributor &device, const DeviceCommand &command)
{
	std::vector<corbel_dist_entry> entries;

	for (const auto &range : command.ids)
		for (std::uint32_t i = 0; i < range.count; i++) {
			corbel_dist_entry entry{};

			entry.id = range.first + i;
			entries.push_back(entry);
		}
	/* A kernel's list is no longer than a device can have ids. */
	if (entries.size() > CORBEL_DIST_MAX_IDS)
		return failure(EINVAL, "These are more ids than a device can have.");
	CORBEL_EXPECT(device.map(entries));
	return Answer{{"unmap: " + show_number_of(entries.size(), "id")},
		      {{"ids", entries.size()}}};
}

Result<Answer> set_masked(const Distributor &device, const DeviceCommand &command)
{
	unsigned changed = 0;

	for (const auto &[first, count] : command.ids)
		changed += CORBEL_EXPECT(
			device.set_masked(first, count, command.verb == DeviceVerb::mask));
	return Answer{{fmt::format("{}: {} changed", name_of(command.verb),
				   show_number_of(changed, "id"))},
		      {{"changed", changed}}};
}

Result<Answer> raise(const Distributor &device, const DeviceCommand &command)
{
	Answer answer{{}, {{"raised", Json::array()}}};

	for (const auto &range : command.ids)
		for (std::uint32_t i = 0; i < range.count; i++) {
			const auto id = range.first + i;
			const auto *outcome = name_of_outcome(CORBEL_EXPECT(device.raise(id)));

			answer.lines.push_back(fmt::format("raise {}: {}", id, outcome));
			answer.json["raised"].push_back({{"id", id}, {"outcome", outcome}});
		}
	return answer;
}

Result<Answer> read(const Distributor &device, const DeviceCommand &command)
{
	Answer answer{{}, {{"entries", Json::array()}}};

	for (const auto &[first, count] : ranges_of(command, device))
		for (const auto &entry : CORBEL_EXPECT(device.read(first, count))) {
			if (!(entry.state & CORBEL_DIST_MAPPED))
				continue;
			answer.lines.push_back("read " + show_entry(entry));
			answer.json["entries"].push_back(json_of(entry));
		}
	return answer;
}

/* Of each id that is named; of all together, if none is. */
Result<Answer> ledger(const Distributor &device, const DeviceCommand &command)
{
	Answer answer{{}, {{"ledger", Json::array()}}};
	corbel_dist_counts sum{};

	for (const auto &[first, count] : ranges_of(command, device)) {
		auto id = first;

		for (const auto &of : CORBEL_EXPECT(device.ledger(first, count))) {
			if (balance_of(of) != 0)
				return failure(EPROTO, fmt::format("The ledger of id {} does not "
								   "balance: {}. This is an error "
								   "of the modules.",
								   id, show_counts(of)));
			if (!command.ids.empty()) {
				Json json{{"id", id}};

				json.update(json_of(of));
				answer.json["ledger"].push_back(std::move(json));
				answer.lines.push_back(
					fmt::format("ledger {}: {}", id, show_counts(of)));
			}
			irq::add_counts(sum, of);
			id++;
		}
	}
	answer.json["total"] = json_of(sum);
	if (command.ids.empty())
		answer.lines.push_back("ledger: " + show_counts(sum));
	return answer;
}

Result<Answer> save(const Distributor &device, const DeviceCommand &command)
{
	const auto state = state_of(CORBEL_EXPECT(device.read(0, device.ids())));
	/* `-` is written past the buffer of what was printed before. */
	(void)std::fflush(stdout);
	auto file = CORBEL_EXPECT(OutputFile::open(command.file));
	const auto count = state["entries"].size();

	file.buffer() = dump(state) + "\n";
	CORBEL_EXPECT(file.write());
	return Answer{
		{fmt::format("save {}: {}", command.file, show_number_of(count, "mapped id"))},
		{{"file", command.file}, {"entries", count}}};
}

Result<Answer> load(const Distributor &device, const DeviceCommand &command)
{
	const auto text = text_of_file(command.file);

	if (!text)
		return failure(errno, fmt::format("{} cannot be read: {}.", command.file,
						  describe_errno(errno)));
	const auto entries = CORBEL_EXPECT(parse_state(*text, device.ids()));
	const auto mapped = std::ranges::count_if(
		entries, [](const auto &entry) { return (entry.state & CORBEL_DIST_MAPPED) != 0; });
	const auto pending = std::ranges::count_if(entries, [](const auto &entry) {
		return (entry.state & CORBEL_DIST_PENDING) != 0;
	});
	CORBEL_EXPECT(device.map(entries, true));
	return Answer{{fmt::format("load {}: {}, {} pending", command.file,
				   show_number_of(static_cast<std::uint64_t>(mapped), "mapped id"),
				   pending)},
		      {{"file", command.file}, {"entries", mapped}, {"pending", pending}}};
}

Result<Answer> perform(const Distributor &device, const DeviceCommand &command)
{
	switch (command.verb) {
	case DeviceVerb::map:
		return map(device, command);
	case DeviceVerb::unmap:
		return unmap(device, command);
	case DeviceVerb::mask:
	case DeviceVerb::unmask:
		return set_masked(device, command);
	case DeviceVerb::raise:
		return raise(device, command);
	case DeviceVerb::read:
		return read(device, command);
	case DeviceVerb::ledger:
		return ledger(device, command);
	case DeviceVerb::save:
		return save(device, command);
	case DeviceVerb::load:
		return load(device, command);
	case DeviceVerb::reset:
		CORBEL_EXPECT(device.reset());
		return Answer{{"reset"}, Json::object()};
	case DeviceVerb::quit:
		break;
	}
	return Answer{};
}

void tell_error(std::uint64_t number, std::string_view line, const Error &error, bool json)
{
	if (json)
		fmt::print("{}\n",
			   dump({{"line", number}, {"ok", false}, {"error", error.sentence}}));
	else
		fmt::print(stderr, "corbel: Line {}, '{}': {}\n", number, printable(line),
			   printable(error.sentence));
}

std::string show_new(const std::string &label, std::uint32_t ids, std::uint32_t vcpus)
{
	return fmt::format("{}: a distributor with {} for {}", printable(label),
			   show_number_of(ids, "id"), show_number_of(vcpus, "vCPU"));
}

Json json_of_new(std::uint32_t ids, std::uint32_t vcpus, bool dry_run)
{
	return {{"event", "ready"},
		{"ids", ids},
		{"vcpus", vcpus},
		{"dry_run", dry_run},
		{"changed", true}};
}

/* The device and the one who gives it commands. */
class Service {
public:
	Service(Distributor device, ScopedFd bell, bool json)
		: device_(std::move(device)), bell_(std::move(bell)), json_(json)
	{}

	[[nodiscard]] int bell() const { return bell_.get(); }
	[[nodiscard]] const Distributor &device() const { return device_; }
	[[nodiscard]] bool any_failed() const { return failed_; }

	void announce(const std::string &label)
	{
		put(show_new(label, device_.ids(), device_.vcpus()),
		    json_of_new(device_.ids(), device_.vcpus(), false));
	}
	void announce_end() { put("the virtual machine has ended", {{"event", "vm_ended"}}); }

	/* False: it was the last one. */
	[[nodiscard]] bool execute(std::string_view line)
	{
		number_++;
		const auto command = parse_device_command(line, device_.ids());

		if (!command) {
			complain(line, command.error());
			return true;
		}
		if (!*command)
			return true;
		if ((*command)->verb == DeviceVerb::quit)
			return false;
		auto answer = perform(device_, **command);
		if (!answer) {
			complain(line, answer.error());
			return true;
		}
		for (const auto &text : answer->lines)
			if (!json_)
				fmt::print("{}\n", printable(text));
		if (json_) {
			Json json{{"line", number_},
				  {"command", name_of((*command)->verb)},
				  {"ok", true}};

			json.update(answer->json);
			fmt::print("{}\n", dump(json));
		}
		listen();
		return true;
	}

	/* Tells of the doorbell if it was rung. */
	void listen()
	{
		eventfd_t rung = 0;

		if (::eventfd_read(bell_.get(), &rung) != 0)
			return;
		const auto vcpus = device_.waiting();
		std::string text = "doorbell:";

		for (auto vcpu : vcpus)
			text += fmt::format(" {}", vcpu);
		put(text, {{"event", "doorbell"}, {"vcpus", vcpus}});
	}

	/* False: nobody reads any more. */
	[[nodiscard]] static bool flush() { return std::fflush(stdout) == 0; }

private:
	void put(const std::string &text, const Json &json) const
	{
		fmt::print("{}\n", json_ ? dump(json) : text);
	}

	void complain(std::string_view line, const Error &error)
	{
		failed_ = true;
		tell_error(number_, line, error, json_);
	}

	Distributor device_;
	ScopedFd bell_;
	bool json_;
	bool failed_ = false;
	std::uint64_t number_ = 0;
};

/* Standard input, line by line. */
class Lines {
public:
	[[nodiscard]] bool ended() const { return ended_; }

	/* What is there now; does not wait if there is something. */
	[[nodiscard]] Result<void> fill()
	{
		char piece[16384];
		const auto got = ::read(STDIN_FILENO, piece, sizeof(piece));

		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			return {};
		if (got < 0)
			return failure(errno, fmt::format("Standard input cannot be read: {}.",
							  describe_errno(errno)));
		ended_ = got == 0;
		text_.append(piece, static_cast<std::size_t>(got));
		if (ended_ && !text_.empty() && text_.back() != '\n')
			text_ += '\n';
		if (text_.size() > longest && text_.find('\n') == text_.npos)
			return failure(E2BIG, "A line of standard input does not end.");
		return {};
	}

	[[nodiscard]] std::optional<std::string> next()
	{
		const auto end = text_.find('\n');

		if (end == text_.npos)
			return std::nullopt;
		auto line = text_.substr(0, end);
		text_.erase(0, end + 1);
		return line;
	}

private:
	static constexpr std::size_t longest = std::size_t{1} << 20;

	std::string text_;
	bool ended_ = false;
};

/* Until the input, the guest or the operator's patience ends. */
Result<void> serve_input(Service &service, const Irq &irq, int process)
{
	constexpr std::chrono::milliseconds ending_step{20};
	constexpr std::chrono::seconds step{1};
	auto waiter = CORBEL_EXPECT(Waiter::make(false));
	bool process_gone = process < 0;
	Lines lines;

	while (service.flush()) {
		const std::array watched{STDIN_FILENO, service.bell(), process_gone ? -1 : process};
		const bool ending = process_gone && process >= 0;
		const auto wakeup = waiter.wait_until(
			Waiter::Clock::now() + (ending ? ending_step : step), watched);

		if (wakeup == Wakeup::quit)
			return {};
		if (wakeup == Wakeup::suspend)
			::raise(SIGSTOP);
		if (CORBEL_EXPECT(irq.info()).ended) {
			service.announce_end();
			return {};
		}
		if (wakeup != Wakeup::ready)
			continue;
		process_gone |= waiter.ready(2);
		if (waiter.ready(1))
			service.listen();
		if (!waiter.ready(0))
			continue;
		CORBEL_EXPECT(lines.fill());
		while (auto line = lines.next())
			if (!service.execute(*line))
				return {};
		if (lines.ended())
			return {};
	}
	return {};
}

/* What can be said of the commands without a device. */
ExitCode rehearse(const Options &options, const std::string &label, std::uint32_t vcpus)
{
	std::uint64_t number = 0;
	bool failed = false;

	if (options.json)
		fmt::print("{}\n", dump(json_of_new(options.ids, vcpus, true)));
	else
		fmt::print("{} could be made\n", show_new(label, options.ids, vcpus));
	for (const auto &text : options.commands)
		for (const auto &line : split_commands(text)) {
			const auto command = parse_device_command(line, options.ids);

			number++;
			if (!command)
				failed = true;
			if (options.json && command && *command)
				fmt::print("{}\n", dump({{"line", number},
							 {"command", name_of((*command)->verb)},
							 {"ok", true}}));
			if (!command)
				tell_error(number, line, command.error(), options.json);
		}
	return failed ? ExitCode::failure : ExitCode::ok;
}

Result<ExitCode> serve(const Options &options, const Session &session, const Irq &irq)
{
	const auto info = CORBEL_EXPECT(irq.info());
	const auto vcpus = options.vcpus ? options.vcpus : std::max(info.nr_vcpus, 1U);

	if (options.dry_run)
		return rehearse(options, session.label(), vcpus);
	auto device = CORBEL_EXPECT(irq.new_distributor(options.ids, vcpus));
	ScopedFd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	if (!bell)
		return failure(errno, fmt::format("An eventfd cannot be made: {}.",
						  describe_errno(errno)));
	CORBEL_EXPECT(device.set_doorbell(bell.get()));
	Service service(std::move(device), std::move(bell), options.json);

	service.announce(session.label());
	if (options.commands.empty()) {
		CORBEL_EXPECT(serve_input(service, irq, session.process.get()));
	} else {
		for (const auto &text : options.commands)
			for (const auto &command : split_commands(text))
				if (!service.execute(command))
					return service.any_failed() ? ExitCode::failure
								    : ExitCode::ok;
	}
	return service.any_failed() ? ExitCode::failure : ExitCode::ok;
}

Result<ExitCode> list(const Options &options, const Session &session, const Irq &irq)
{
	const auto distributors = CORBEL_EXPECT(irq.distributors());

	if (options.json) {
		Json json{{"vm", json_of(session.info)}, {"distributors", Json::array()}};

		for (const auto &dist : distributors)
			json["distributors"].push_back(json_of(dist));
		fmt::print("{}\n", dump(json));
		return ExitCode::ok;
	}
	fmt::print("{}: {}\n", printable(session.label()),
		   show_number_of(distributors.size(), "distributor"));
	if (!distributors.empty())
		for (const auto &line : table_of(distributors).lines())
			fmt::print("{}\n", line);
	return ExitCode::ok;
}

Result<ExitCode> run(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());

	return options.ids ? serve(options, session, irq) : list(options, session, irq);
}

Json describe()
{
	namespace s = schema;
	const auto entry = s::object({{"id", s::count()},
				      {"vcpu", s::count()},
				      {"vector", s::count()},
				      {"priority", s::count()},
				      {"masked", s::boolean()},
				      {"pending", s::boolean()}});
	const auto counts_of_id = s::joined(s::object({{"id", s::count()}}), s::dist_counts());
	const auto answer = [](const std::vector<std::string_view> &commands,
			       std::vector<s::Key> more) {
		std::vector<s::Key> keys{{"line", s::count()},
					 {"command", s::one_of_words(commands)},
					 {"ok", s::boolean()}};

		std::ranges::move(more, std::back_inserter(keys));
		return s::object(keys);
	};
	const auto outcomes = s::one_of_words({"delivered", "recorded", "coalesced", "refused"});

	return s::any_of(
		{s::object({{"vm", s::vm()}, {"distributors", s::array(s::distributor())}},
			   "without --ids"),
		 s::joined(s::object({{"event", s::constant("ready")},
				      {"ids", s::count()},
				      {"vcpus", s::count()}}),
			   s::object(s::change())),
		 s::object({{"event", s::constant("doorbell")}, {"vcpus", s::array(s::count())}}),
		 s::object({{"event", s::constant("vm_ended")}}),
		 answer({"map"}, {{"entry", entry}}), answer({"unmap"}, {{"ids", s::count()}}),
		 answer({"mask", "unmask"}, {{"changed", s::count()}}),
		 answer({"raise"}, {{"raised", s::array(s::object({{"id", s::count()},
								   {"outcome", outcomes}}))}}),
		 answer({"read"}, {{"entries", s::array(entry)}}),
		 answer({"ledger"},
			{{"ledger", s::array(counts_of_id)}, {"total", s::dist_counts()}}),
		 answer({"save"}, {{"file", s::string()}, {"entries", s::count()}}),
		 answer({"load"},
			{{"file", s::string()}, {"entries", s::count()}, {"pending", s::count()}}),
		 answer({"map", "unmap", "mask", "unmask", "raise", "read", "ledger", "save",
			 "load", "reset"},
			{}),
		 s::object({{"line", s::count()}, {"ok", s::boolean()}, {"error", s::string()}})});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.number("--ids", options->ids, {1, CORBEL_DIST_MAX_IDS}, "N",
		   "Make a distributor of so many ids, and serve it until standard input ends");
	set.number("--vcpus", options->vcpus, {1, CORBEL_MAX_VCPUS}, "N",
		   "For so many vCPUs; as many as there are by default");
	set.texts("-e,--execute", options->commands, "COMMAND[;COMMAND...]",
		  "Do this instead of what standard input says, then end; may be repeated");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] {
		if (!options->ids && (options->vcpus || !options->commands.empty())) {
			fmt::print(stderr, "corbel: --vcpus and --execute are about a distributor "
					   "that --ids makes.\n");
			return ExitCode::usage;
		}
		return exit_code_of(run(*options));
	};
}

} /* namespace */

const Verb irq_device_verb{
	.group = "irq",
	.name = "device",
	.summary = "Give a virtual machine interrupts of your own, or list who does",
	.examples =
		"corbel irq device web1                        the distributors that there are\n"
		"corbel irq device web1 --ids 256              a new one; commands from "
		"standard input:\n"
		"                                              map ID VCPU VECTOR [PRIO], unmap "
		"IDS,\n"
		"                                              mask IDS, unmask IDS, raise IDS, "
		"reset,\n"
		"                                              read [IDS], ledger [IDS],\n"
		"                                              save FILE, load FILE, quit\n"
		"corbel irq device web1 --ids 8 -e 'map 0 1 0x50; raise 0; ledger' --json",
	.exit_codes = "1 is also: a command\ncould not be done. The end of the virtual machine is "
		      "a success.",
	.effect = Effect::change,
	.repeat = Repeat::own,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
