// SPDX-License-Identifier: GPL-2.0-or-later
#include "header.hh"

#include "sha256.hh"

#include <libcorbel/text_file.hh>

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::vmm {

namespace {

using Json = nlohmann::json;

constexpr std::size_t image_limit = std::size_t{1} << 30;

Json json_of(const Image &image)
{
	return {{"path", image.path}, {"bytes", image.bytes}, {"sha256", image.sha256}};
}

Image image_of(const Json &json)
{
	return {json.at("path"), json.at("bytes"), json.at("sha256")};
}

Json json_of(const CpuidTable &table)
{
	Json leaves = Json::array();

	for (const auto &leaf : table)
		leaves.push_back({leaf.function, leaf.index, leaf.flags, leaf.eax, leaf.ebx,
				  leaf.ecx, leaf.edx});
	return leaves;
}

CpuidTable cpuid_of(const Json &json)
{
	CpuidTable table;

	for (const auto &leaf : json) {
		kvm_cpuid_entry2 entry{};

		entry.function = leaf.at(0);
		entry.index = leaf.at(1);
		entry.flags = leaf.at(2);
		entry.eax = leaf.at(3);
		entry.ebx = leaf.at(4);
		entry.ecx = leaf.at(5);
		entry.edx = leaf.at(6);
		table.push_back(entry);
	}
	return table;
}

std::string sha256_of(std::string_view bytes)
{
	Sha256 sum;

	sum.add(bytes);
	return sum.text();
}

} /* namespace */

std::string encode(const Header &header)
{
	Json json = {
		{"memory", header.memory},
		{"began", header.began},
		{"shift", header.shift},
		{"tsc_khz", header.tsc_khz},
		{"module", header.module},
		{"command_line", header.command_line},
		{"kernel", json_of(header.kernel)},
		{"cpuid", json_of(header.cpuid)},
		{"msrs", header.msrs},
	};

	if (header.initrd)
		json["initrd"] = json_of(*header.initrd);
	if (header.disk)
		json["disk"] = json_of(*header.disk);
	if (header.mac)
		json["mac"] = *header.mac;
	if (header.cid)
		json["cid"] = *header.cid;
	return json.dump();
}

Result<Header> decode_header(std::string_view text)
{
	const auto json = Json::parse(text, nullptr, false);
	Header header;

	try {
		header.memory = json.at("memory");
		header.began = json.at("began");
		header.shift = json.at("shift");
		header.tsc_khz = json.at("tsc_khz");
		header.module = json.at("module");
		header.command_line = json.at("command_line");
		header.kernel = image_of(json.at("kernel"));
		if (json.contains("initrd"))
			header.initrd = image_of(json.at("initrd"));
		if (json.contains("disk"))
			header.disk = image_of(json.at("disk"));
		if (json.contains("mac"))
			header.mac = json.at("mac").get<Mac>();
		if (json.contains("cid"))
			header.cid = json.at("cid");
		header.cpuid = cpuid_of(json.at("cpuid"));
		header.msrs = json.at("msrs").get<std::vector<std::uint32_t>>();
	} catch (const Json::exception &error) {
		return failure(EBADMSG, fmt::format("The head of the recording is not as this "
						    "version writes it: {}.",
						    error.what()));
	}
	if (header.shift > 31 || header.began > std::uint64_t{1} << 36)
		return failure(EBADMSG, "The head of the recording has times that cannot be.");
	return header;
}

Result<LoadedImage> load_image(const std::string &path, std::string_view what)
{
	auto bytes = text_of_file(path, image_limit);

	if (!bytes)
		return failure(ENOENT, fmt::format("The {} {} cannot be read.", what, path));
	return LoadedImage{{path, bytes->size(), sha256_of(*bytes)}, std::move(*bytes)};
}

Result<void> same_image(const Image &recorded, const Image &here, std::string_view what)
{
	if (recorded.sha256 == here.sha256 && recorded.bytes == here.bytes)
		return {};
	return failure(EXDEV,
		       fmt::format("The {} {} is not that of the recording: SHA-256 {} here, "
				   "{} ({}) when it was recorded. Name the right one with "
				   "--{}.",
				   what, here.path, here.sha256, recorded.sha256, recorded.path,
				   what));
}

} /* namespace corbel::vmm */
