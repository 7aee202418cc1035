// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm_command.hh"

#include "console.hh"
#include "schema.hh"

#include <libcorbel/text_file.hh>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr const char *monitor = "corbel-vmm";
constexpr std::size_t report_limit = 1 << 20;

/* The one that was installed, or built, with this tool. */
std::string program()
{
	std::error_code error;
	const auto beside =
		std::filesystem::read_symlink("/proc/self/exe", error).replace_filename(monitor);

	return std::filesystem::exists(beside, error) ? beside.string() : monitor;
}

std::unexpected<Error> cannot_start(int error)
{
	return failure(
		error,
		error == ENOENT
			? "corbel-vmm is neither beside this tool nor in the PATH: it is "
			  "what records and replays guests, and comes with Corbel."
			: fmt::format("corbel-vmm cannot be started: {}.", describe_errno(error)));
}

/* Gone with this. */
class Folder {
public:
	[[nodiscard]] static Result<Folder> create()
	{
		std::string path =
			(std::filesystem::temp_directory_path() / "corbel-XXXXXX").string();

		if (!::mkdtemp(path.data()))
			return failure(errno,
				       fmt::format("No folder can be made in {}: {}.",
						   std::filesystem::temp_directory_path().string(),
						   describe_errno(errno)));
		return Folder(std::move(path));
	}
	~Folder()
	{
		std::error_code error;

		if (!path_.empty())
			std::filesystem::remove_all(path_, error);
	}
	Folder(Folder &&other) noexcept : path_(std::exchange(other.path_, {})) {}
	Folder &operator=(Folder &&) = delete;

	[[nodiscard]] std::string file(std::string_view name) const
	{
		return fmt::format("{}/{}", path_, name);
	}

private:
	explicit Folder(std::string path) : path_(std::move(path)) {}

	std::string path_;
};

/* It has said by itself why it failed. */
ExitCode wait_for(pid_t process)
{
	int status = 0;

	while (::waitpid(process, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return report({EIO, fmt::format("corbel-vmm was killed by signal {}.",
						WTERMSIG(status))});
	return static_cast<ExitCode>(WEXITSTATUS(status));
}

bool has_ended(pid_t process)
{
	siginfo_t info{};

	return ::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) !=
		       0 ||
	       info.si_pid == process;
}

} /* namespace */

VmmCommand::VmmCommand(std::string verb) : program_(program()), words_{monitor, std::move(verb)} {}

void VmmCommand::add(std::string_view option, const std::string &value)
{
	if (value.empty())
		return;
	words_.emplace_back(option);
	words_.push_back(value);
}

void VmmCommand::add(std::string_view option, bool set)
{
	if (set)
		words_.emplace_back(option);
}

void VmmCommand::add_number(std::string_view option, std::uint64_t value)
{
	words_.emplace_back(option);
	words_.push_back(fmt::format("{}", value));
}

void VmmCommand::add_word(std::string word)
{
	words_.push_back(std::move(word));
}

std::vector<char *> VmmCommand::arguments() const
{
	std::vector<char *> arguments;

	arguments.reserve(words_.size() + 1);
	for (const auto &word : words_)
		arguments.push_back(const_cast<char *>(word.c_str()));
	arguments.push_back(nullptr);
	return arguments;
}

ExitCode VmmCommand::become()
{
	::execvp(program_.c_str(), arguments().data());
	return report(cannot_start(errno).error());
}

Result<pid_t> VmmCommand::start() const
{
	posix_spawn_file_actions_t actions;
	pid_t process = 0;

	::posix_spawn_file_actions_init(&actions);
	::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	const int error = ::posix_spawnp(&process, program_.c_str(), &actions, nullptr,
					 arguments().data(), environ);

	::posix_spawn_file_actions_destroy(&actions);
	if (error)
		return cannot_start(error);
	return process;
}

ExitCode VmmCommand::print_report()
{
	const auto folder = Folder::create();

	if (!folder)
		return report(folder.error());
	const auto file = folder->file("report");

	add("--report", file);
	const auto process = start();
	if (!process)
		return report(process.error());
	const auto code = wait_for(*process);
	const auto text = text_of_file(file, report_limit);

	/* Without one it has said why. */
	if (text)
		fmt::print("{}\n", dump(Json::parse(*text), 2));
	return code;
}

ExitCode VmmCommand::attend()
{
	const auto folder = Folder::create();

	if (!folder)
		return report(folder.error());
	const auto socket = folder->file("console");

	add("--console", socket);
	add("--wait", true);
	const auto process = start();
	if (!process)
		return report(process.error());
	/* It is for the guest's monitor, which ends it in order. */
	std::signal(SIGINT, SIG_IGN);
	/* Nothing of what can fail comes behind its socket but the file of the recording. */
	while (!std::filesystem::exists(socket) && !has_ended(*process))
		::usleep(10000);
	if (has_ended(*process))
		return wait_for(*process);
	fmt::print(stderr, "The guest's console: Ctrl-] leaves it.\n");
	if (const auto joined = join_console(socket); !joined)
		(void)report(joined.error());
	if (!has_ended(*process))
		fmt::print(stderr,
			   "\nThe console was left; the guest runs on, Ctrl-C ends it. `corbel "
			   "recording console {}` joins it again.\n",
			   socket);
	return wait_for(*process);
}

void MovedImages::declare(OptionSet &set)
{
	set.text("--kernel", kernel, "FILE", "Where the guest's kernel is now");
	set.text("--initrd", initrd, "FILE", "Where its initrd is now");
	set.text("--disk", disk, "IMAGE", "Where its disk's image is now");
}

void MovedImages::add_to(VmmCommand &command) const
{
	command.add("--kernel", kernel);
	command.add("--initrd", initrd);
	command.add("--disk", disk);
}

void declare_recording(OptionSet &set, std::string &path)
{
	set.text("recording", path, "RECORDING", "As `corbel record -o` made it");
	set.last_is_required();
}

Json describe_run()
{
	namespace s = schema;

	return s::object({
		{"ending", s::one_of_words({"reset", "shutdown", "result", "halted", "stopped",
					    "position", "cut"},
					   "how it ended; position: as far as was asked for; cut: "
					   "the recorder was killed")},
		{"result", s::count("a test guest's")},
		{"exits", s::count("places where the guest left by itself")},
		{"interrupts", s::count()},
		{"halts", s::count()},
		{"landmarks", s::count("places where it was stopped")},
		{"checkpoints", s::count("digests of everything")},
		{"late_landmarks", s::count("later than twice the patience; 0 for a replay")},
		{"longest_run_ms",
		 s::real("of its clock, until a landmark, from when it could be interrupted; 0 for a replay")},
		{"stops", s::count("by signals, of which the guest knows nothing")},
		{"console_bytes", s::count()},
		{"tsc_reads", s::count("of the counter")},
		{"entries", s::count("of the recording")},
		{"file_bytes", s::count("of the recording; 0 for a replay")},
		{"guest_seconds", s::real("of its clock")},
		{"seconds", s::real("that passed here")},
		{"devices", s::string("digest of the devices at the end")},
		{"memory", s::string("of memory")},
		{"registers", s::string("of the general registers")},
		{"control", s::string("of segments and control registers")},
		{"fpu", s::string("of FPU and SSE")},
		{"msrs", s::string("of MSRs")},
		{"events", s::string("of pending events")},
		{"debug", s::string("of debug registers")},
		{"disk",
		 s::object({{"requests", s::count()},
			    {"failed", s::count()},
			    {"written", s::string("digest of what lies over the image")}}),
		 true},
		{"net", s::object({{"sent", s::count("frames")}, {"received", s::count()}}), true},
		{"vsock", s::object({{"sent", s::count("packets")}, {"received", s::count()}}),
		 true},
	});
}

} /* namespace corbel::cli */
