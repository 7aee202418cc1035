/* SPDX-License-Identifier: GPL-2.0-or-later */
/* header.hh - what a recording says of the machine it is of; JSON at the head of the file. */
#pragma once

#include "cpu_policy.hh"
#include "net_link.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::vmm {

/* A file the guest was made of. */
struct Image {
	std::string path;
	std::uint64_t bytes = 0;
	std::string sha256; /* in hexadecimal */
};

struct Header {
	std::uint64_t memory = 0; /* bytes */
	std::uint64_t began = 0; /* seconds since 1970 at guest time 0 */
	std::uint32_t shift = 0; /* guest time is the host's, shifted right by so many bits */
	std::uint32_t tsc_khz = 0; /* of the counter that the guest was shown */
	bool module = true; /* corbel_replay.ko answered RDTSC */
	std::string command_line;
	Image kernel;
	std::optional<Image> initrd;
	std::optional<Image> disk; /* as it was before the guest wrote to it: see Disk */
	std::optional<Mac> mac; /* of a network card */
	std::optional<std::uint64_t> cid; /* where there is vsock: the guest's address */
	CpuidTable cpuid;
	std::vector<std::uint32_t> msrs; /* those in states */
};

[[nodiscard]] std::string encode(const Header &header);
/* @text is not trusted. */
[[nodiscard]] Result<Header> decode_header(std::string_view text);

/* A file, all of it, and what it is. */
struct LoadedImage {
	Image image;
	std::string bytes;
};

[[nodiscard]] Result<LoadedImage> load_image(const std::string &path, std::string_view what);
/* The error names both hashes. */
[[nodiscard]] Result<void> same_image(const Image &recorded, const Image &here,
				      std::string_view what);

} /* namespace corbel::vmm */
