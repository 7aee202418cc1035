/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoint_file.hh - the checkpoints of a recording, which lie in a file beside it: of each
 * the pages that are others than at the one before, or than at the beginning of the guest. Behind
 * the pages of memory those of the disk are counted, as far as they were written. The format is
 * in Documentation/formats.md.
 *
 * What a recording's checkpoints are is a matter of its replay, and they can be made again at any
 * time; so the recorder has nothing to do with them, and a guest that is recorded pays nothing.
 */
#pragma once

#include "checkpoint.hh"
#include "chunk.hh"
#include "guest_memory.hh"

#include <libcorbel/scoped_fd.hh>

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace corbel::vmm {

/* Whose they are, and how many exits are between two of them. */
struct CheckpointsOf {
	ChunkReader::Identity recording{};
	std::uint64_t memory = 0, disk = 0; /* bytes */
	std::uint64_t every = 0; /* exits */

	[[nodiscard]] std::uint64_t pages() const
	{
		return memory / page_bytes + (disk + page_bytes - 1) / page_bytes;
	}
};

[[nodiscard]] std::string checkpoints_path(const std::string &recording);
[[nodiscard]] std::uint64_t page_digest(GuestMemory::ConstPage page);

class CheckpointFile {
public:
	/*
	 * Up to the last that is whole. ENOENT; EBADMSG: it is none, or damaged; EPROTO: of another
	 * version; EXDEV: of another recording.
	 */
	[[nodiscard]] static Result<CheckpointFile> open(const std::string &path,
							 const CheckpointsOf &wanted);

	[[nodiscard]] std::size_t count() const { return checkpoints_.size(); }
	[[nodiscard]] const Checkpoint &at(std::size_t number) const
	{
		return checkpoints_[number];
	}
	[[nodiscard]] const std::vector<PageVersion> &changed(std::size_t number) const
	{
		return changed_[number];
	}
	[[nodiscard]] std::uint64_t every() const { return every_; }
	[[nodiscard]] bool was_cut() const { return cut_; }

	/* The last one at or before this exit, if there is one. */
	[[nodiscard]] std::optional<std::size_t> nearest(std::uint64_t exit) const;

	/* Those that are not at every checkpoint what they were when the guest began. */
	[[nodiscard]] std::vector<std::uint64_t> changing_pages() const;
	/* Which bytes a page has at a checkpoint; null: those it had when the guest began. */
	[[nodiscard]] const PageVersion *version(std::size_t number, std::uint64_t page) const;
	/* EBADMSG: they are damaged. */
	[[nodiscard]] Result<void> load(const PageVersion &version, GuestMemory::Page page) const;
	/* As they lie in the file; of a version that is not zeros. */
	[[nodiscard]] Result<std::string> packed(const PageVersion &version) const;

private:
	struct Change {
		std::uint32_t checkpoint, index; /* in what changed there */
	};

	explicit CheckpointFile(std::string path, ScopedFd fd)
		: path_(std::move(path)), fd_(std::move(fd))
	{}

	Result<void> read_head(const CheckpointsOf &wanted);
	/* False: the file is not complete from here on. */
	Result<bool> read_one(std::uint64_t size, std::uint64_t pages);
	[[nodiscard]] std::unexpected<Error> damaged(std::string_view what) const;

	std::string path_;
	ScopedFd fd_;
	std::uint64_t every_ = 0, at_ = 0;
	bool cut_ = false;
	std::vector<Checkpoint> checkpoints_;
	std::vector<std::vector<PageVersion>> changed_;
	std::unordered_map<std::uint64_t, std::vector<Change>> changes_; /* of a page, in order */
};

class CheckpointWriter {
public:
	/* The file is at @path only when it is finished. @limit: bytes; checkpoints are given up for it. */
	[[nodiscard]] static Result<CheckpointWriter>
	create(const std::string &path, const CheckpointsOf &whose, std::uint64_t limit);
	~CheckpointWriter();
	CheckpointWriter(CheckpointWriter &&) = default;
	CheckpointWriter &operator=(CheckpointWriter &&) = delete;

	/* @changed: pages that may be others than at the one before; @bytes_of tells their bytes. */
	using BytesOf = std::function<GuestMemory::ConstPage(std::uint64_t page)>;
	[[nodiscard]] Result<void> add(const Checkpoint &checkpoint, const BytesOf &bytes_of,
				       const std::vector<std::uint64_t> &changed);
	[[nodiscard]] Result<void> finish();

	/* Becomes more when some had to be given up. */
	[[nodiscard]] std::uint64_t every() const { return whose_.every; }
	[[nodiscard]] std::uint64_t count() const { return count_; }
	[[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
	struct Place {
		std::uint32_t bytes;
		std::uint64_t at;
	};
	struct Hash {
		std::uint64_t low, high;

		[[nodiscard]] bool operator==(const Hash &) const = default;
	};
	struct HashOfHash {
		std::size_t operator()(const Hash &hash) const { return hash.low; }
	};

	CheckpointWriter(std::string path, const CheckpointsOf &whose, std::uint64_t limit)
		: path_(std::move(path)), whose_(whose), limit_(limit)
	{}

	Result<void> begin(const std::string &path);
	Result<void> append(std::string_view bytes);
	/* Where the bytes will be that are appended to @data of the next one. */
	[[nodiscard]] std::uint64_t place_behind(const std::string &data) const;
	Result<void> append_one(const Checkpoint &checkpoint,
				const std::vector<PageVersion> &changed, const std::string &data);
	/* Gives up every second. */
	Result<void> thin();
	[[nodiscard]] std::string temporary() const { return path_ + ".new"; }
	[[nodiscard]] std::string thinner() const { return path_ + ".thinner"; }

	std::string path_;
	CheckpointsOf whose_;
	std::uint64_t limit_;
	ScopedFd fd_;
	std::uint64_t bytes_ = 0, count_ = 0;
	std::unordered_map<Hash, Place, HashOfHash> known_;
	std::unordered_map<std::uint64_t, Hash> latest_; /* of pages */
};

} /* namespace corbel::vmm */
