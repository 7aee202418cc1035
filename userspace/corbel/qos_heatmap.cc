// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "heat_picture.hh"
#include "output_file.hh"
#include "pool_text.hh"
#include "qos_text.hh"
#include "schema.hh"
#include "terminal.hh"
#include "verb.hh"

#include "../pool/names.hh"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string lun, object, cell, output;
	bool on = false, off = false;
	bool dry_run = false;
	bool json = false;
};

constexpr std::size_t usual_columns = 80;

Result<void> check_output(const std::string &text)
{
	if (text.ends_with(".svg") || text.ends_with(".png"))
		return {};
	return failure(EINVAL,
		       fmt::format("'{}' ends neither with .svg nor with .png, and so says no kind "
				   "of picture.",
				   text));
}

Result<void> write(const HeatPicture &picture, const std::string &path)
{
	/* First, so that a file that is there is not lost for nothing. */
	auto contents =
		path.ends_with(".png") ? CORBEL_EXPECT(heat_png(picture)) : heat_svg(picture);
	auto file = CORBEL_EXPECT(OutputFile::open(path));

	file.buffer() = std::move(contents);
	return file.write();
}

void draw(const Json &answer, const HeatPicture &picture)
{
	const bool terminal = ::isatty(STDOUT_FILENO) == 1;
	const auto columns =
		terminal ? std::min<std::size_t>(Terminal::size().width, 1000) : usual_columns;

	fmt::print("{}: {} of {}, {} in a cell\n", picture.title, "I/Os",
		   pool::size_text(picture.bytes),
		   pool::size_text(answer.at("cell_bytes").get<std::uint64_t>()));
	for (const auto &line : heat_text(picture, columns, terminal))
		fmt::print("{}\n", line);
	if (answer.at("estimated").get<bool>())
		fmt::print("Some cells hold more than this object: of them its part by size is "
			   "shown.\n");
}

void show_switched(const Json &answer)
{
	const auto *state = answer.at("on").get<bool>() ? "on" : "off";

	if (!answer.at("changed").get<bool>())
		fmt::print("The heat map is {} already.\n", state);
	else if (answer.at("dry_run").get<bool>())
		fmt::print("The heat map can be switched {}; nothing was changed.\n", state);
	else
		fmt::print("The heat map is {}.\n", state);
}

ExitCode show(const Options &options, const Json &answer)
{
	const bool switched = options.on || options.off;

	if (!switched && !options.output.empty())
		if (const auto written = write(heat_picture_of(answer), options.output); !written)
			return report(written.error());
	if (options.json)
		fmt::print("{}\n", dump(answer, 2));
	else if (switched)
		show_switched(answer);
	else if (options.output.empty())
		draw(answer, heat_picture_of(answer));
	else
		fmt::print("{} is written.\n", options.output);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;
	const auto bin = s::object({{"index", s::count("bins before it")},
				    {"reads", s::count("that began there")},
				    {"writes", s::count("that began there")},
				    {"read_bytes", s::count()},
				    {"written_bytes", s::count()}});

	return s::joined(
		s::object({{"lun", s::string()},
			   {"object", s::nullable(s::string())},
			   {"on", s::boolean()},
			   {"cell_bytes", s::nullable(s::count("that are counted as one"))},
			   {"bytes", s::nullable(s::count("of the disk, or of the LUN"))},
			   {"bin_bytes", s::nullable(s::count("that are told as one"))},
			   {"bins", s::array(bin, "those in which something happened")},
			   {"estimated", s::boolean("cells hold more than this disk")}}),
		s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_lun(set, options->lun);
	set.text("object", options->object, "OBJECT", "In the order of this one's disk",
		 check_qos_name);
	set.flag("--on", options->on, "Count from now on where on the LUN something happens");
	set.flag("--off", options->off, "Count no more");
	set.text("--cell", options->cell, "SIZE",
		 "With --on: what is counted as one, a power of two, 64K or more", check_size);
	set.text("--output", options->output, "FILE", "A picture instead, .svg or .png",
		 check_output);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(qos_heatmap_verb, arguments, false,
				  [&](const Json &answer) { return show(*options, answer); });
	};
}

} /* namespace */

const Verb qos_heatmap_verb{
	.group = "qos",
	.name = "heatmap",
	.summary = "Where on a LUN, or on one disk that lies there, how much happens",
	.examples =
		"corbel qos heatmap lun0 --on                 begin to count\n"
		"corbel qos heatmap lun0 web                  the disk of one object, drawn here\n"
		"corbel qos heatmap lun0 --output lun0.svg    all of the LUN, as a picture\n"
		"corbel qos heatmap lun0 --json | jq .bins    for scripts\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
