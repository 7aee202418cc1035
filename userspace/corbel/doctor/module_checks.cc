// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * module_checks.cc - is what was built what is loaded?
 *
 * Two marks are compared. The srcversion covers the C sources of a module; the
 * build id covers every byte of it, so it also tells builds apart whose
 * difference is in other sources or in the flags.
 */
#include "checks.hh"

#include <libcorbel/module_file.hh>
#include <libcorbel/text_file.hh>

#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

namespace fs = std::filesystem;

struct Module {
	std::string_view name; /* in /sys/module */
	std::string_view file;
	/* What there is not without it; nothing: most verbs need it. */
	std::string_view serves;
};

/* In the order in which they are loaded. */
constexpr std::array modules{
	Module{"corbel", "corbel.ko", ""}, Module{"corbel_irq", "corbel_irq.ko", ""},
	Module{"corbel_postcopy", "corbel_postcopy.ko", "memory objects for guests"},
	Module{"corbel_replay", "corbel_replay.ko", "recordings of guests"},
	Module{"dm_corbel", "dm-corbel.ko", "pools of volumes"}};

/* Where the file of a module may be, the most likely first. */
std::vector<fs::path> places_of(const Host &host, const fs::path &folder, std::string_view file)
{
	std::vector<fs::path> places;

	if (!folder.empty())
		return {folder / file};

	std::error_code error;
	auto tool = fs::read_symlink("/proc/self/exe", error);
	if (!error) {
		places.push_back(tool.parent_path() / file);
		places.push_back(tool.parent_path().parent_path() / "modules" / file);
	}
	for (const char *below : {"updates/dkms", "updates", "extra", "kernel/extra"})
		places.push_back(
			host.at(fmt::format("/lib/modules/{}/{}/{}", host.release, below, file)));
	return places;
}

std::optional<fs::path> find_file(const std::vector<fs::path> &places)
{
	std::error_code ignored;

	for (const auto &place : places)
		if (fs::exists(place, ignored))
			return place;
	return std::nullopt;
}

std::string reload_remedy(const fs::path &file)
{
	const auto folder = file.parent_path().string();
	std::string names, inserts;

	for (const auto &module : modules) {
		names = fmt::format(" {}{}", module.name, names);
		inserts += fmt::format("{}`insmod {}/{}`", inserts.empty() ? "" : ", ", folder,
				       module.file);
	}
	return fmt::format("Load the new ones: stop the pools, `rmmod{}`, then {}.", names,
			   inserts);
}

Finding compare(const Host &host, std::string_view module, const fs::path &file)
{
	auto check = fmt::format("built.{}", module);
	auto built = read_module(file);

	if (!built)
		return problem(check, built.error().sentence,
			       "Build the modules again, or name their folder with --modules.");
	if (built->release() != host.release)
		return problem(check,
			       fmt::format("{} was built for kernel {}, but {} runs", file.string(),
					   built->release(), host.release),
			       "Build the modules for the kernel that runs.");

	auto folder = fmt::format("/sys/module/{}", module);
	if (!host.has(folder))
		return ok(check,
			  fmt::format("{} fits this kernel and can be loaded", file.string()));

	auto source = host.line(folder + "/srcversion").value_or("");
	if (built->value("srcversion") != source)
		return problem(check,
			       fmt::format("{} (srcversion {}) is not the module that is loaded "
					   "(srcversion {})",
					   file.string(), built->value("srcversion"), source),
			       reload_remedy(file));

	auto note = text_of_file(host.at(folder + "/notes/.note.gnu.build-id"));
	auto loaded_id = note ? build_id_of_note(*note) : "";
	if (!loaded_id.empty() && loaded_id != built->build_id)
		return problem(check,
			       fmt::format("{} is another build than the module that is loaded "
					   "(build id {:.12}, loaded {:.12})",
					   file.string(),
					   built->build_id.empty() ? "none" : built->build_id,
					   loaded_id),
			       reload_remedy(file));
	return ok(check,
		  fmt::format("the loaded module is {} (srcversion {}, build id {:.12})",
			      file.string(), source, loaded_id.empty() ? "unknown" : loaded_id));
}

Finding not_loaded(const std::string &check, const Module &module)
{
	auto remedy = fmt::format("Run `modprobe {}`, or `insmod {}` from a build.", module.name,
				  module.file);

	if (module.serves.empty())
		return problem(check, fmt::format("{} is not loaded", module.name), remedy);
	return warning(check,
		       fmt::format("{} is not loaded: there are no {}", module.name, module.serves),
		       remedy);
}

Finding check_loaded(const Host &host, const Module &module)
{
	auto check = fmt::format("loaded.{}", module.name);
	auto folder = fmt::format("/sys/module/{}", module.name);

	if (!host.has(folder))
		return not_loaded(check, module);

	auto taint = host.line(folder + "/taint").value_or("");
	return ok(check, fmt::format("{} is loaded, {}", module.name,
				     taint.find('E') == taint.npos ? "signed" : "unsigned"));
}

} /* namespace */

void check_modules(const Host &host, const fs::path &folder, Findings &findings)
{
	for (const Module &one : modules) {
		const auto module = one.name;

		findings.push_back(check_loaded(host, one));
		auto places = places_of(host, folder, one.file);
		if (auto file = find_file(places))
			findings.push_back(compare(host, module, *file));
		else
			findings.push_back(warning(
				fmt::format("built.{}", module),
				fmt::format("{} was not found, so it cannot be compared with "
					    "what is loaded; looked in {} and {} more",
					    one.file, places.front().parent_path().string(),
					    places.size() - 1),
				"Name the folder it was built in with --modules."));
	}
}

} /* namespace corbel::cli */
