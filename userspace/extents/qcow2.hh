/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2.hh - where the clusters of a qcow2 image lie in its file, versions 2 and 3.
 *
 * Whoever sends an image may have made it by hand: nothing in it is believed. What is asked for
 * in memory and time depends on limits that stand here, whatever the image says.
 *
 * A QEMU that runs keeps tables in memory; what is here is what it has written of them.
 */
#pragma once

#include "file_map.hh"

#include <functional>
#include <memory>
#include <span>
#include <string>

namespace corbel::extents {

/* A file or device to be read from. */
struct Bytes {
	std::uint64_t size;
	/* All of @into, from @at on; an error if there is not so much. */
	std::function<Result<void>(std::uint64_t at, std::span<std::byte> into)> read;
};
[[nodiscard]] Bytes bytes_of_file(int fd, const std::string &path, std::uint64_t size);

class Qcow2 {
public:
	/* Is it an image at all, by its first bytes? */
	[[nodiscard]] static bool is_one(const Bytes &file);
	/* EBADMSG: it is damaged. EOPNOTSUPP: it has what is not followed. @path: for errors. */
	[[nodiscard]] static Result<Qcow2> open(Bytes file, std::string path);

	[[nodiscard]] std::uint64_t bytes() const { return size_; }
	[[nodiscard]] bool has_backing() const { return backing_; }

	/* Disk to file, ascending; what has no place of its own in @tally. */
	[[nodiscard]] Result<std::vector<Extent>> clusters(Tally &tally) const;
	/* What the guest reads. EOPNOTSUPP: it is encrypted, or comes from somewhere else. */
	[[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> into) const;

private:
	Qcow2(Bytes file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

	[[nodiscard]] std::uint64_t cluster() const { return std::uint64_t{1} << cluster_bits_; }
	[[nodiscard]] std::uint64_t table_entries() const { return cluster() / 8; }
	[[nodiscard]] std::unexpected<Error> damaged(const std::string &what) const;
	[[nodiscard]] std::unexpected<Error> unsupported(const std::string &what) const;
	[[nodiscard]] Result<void> read_head();
	[[nodiscard]] Result<void> read_top();
	[[nodiscard]] Result<std::vector<std::uint64_t>> table(std::uint64_t at,
							       std::uint64_t entries) const;
	[[nodiscard]] Result<std::uint64_t> entry_of(std::uint64_t index) const;
	[[nodiscard]] Result<std::vector<std::byte>> inflate(std::uint64_t entry) const;

	Bytes file_;
	std::string path_;
	std::uint32_t version_ = 0, cluster_bits_ = 0;
	std::uint64_t size_ = 0, top_at_ = 0, top_entries_ = 0;
	std::vector<std::uint64_t> top_; /* L1: where tables of clusters (L2) are; 0: nowhere */
	bool backing_ = false, encrypted_ = false, zlib_ = true;
};

} /* namespace corbel::extents */
