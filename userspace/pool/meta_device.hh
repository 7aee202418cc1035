/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta_device.hh - a pool's metadata in a block device or a file, nobody else's meanwhile.
 *
 * The logic of the pool is the kernel module's own source (kmod/block), which knows a
 * BlockDevice and nothing of where it is.
 */
#pragma once

#include "../../kmod/block/device.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <cstdint>
#include <memory>
#include <string>

namespace corbel::pool {

class MetaDevice final : public block::BlockDevice {
public:
	enum class Use { read, write };

	/*
	 * EBUSY: a started pool, a mounted file system or anything else has it. It is closed to
	 * them until this one goes. A file is refused while a loop device is made of it.
	 */
	[[nodiscard]] static Result<std::unique_ptr<MetaDevice>> open(const std::string &path,
								      Use use);

	[[nodiscard]] const std::string &path() const { return path_; }
	[[nodiscard]] std::uint64_t blocks() const { return blocks_; }

	block::Result<void> read(block::Meta block, void *data) override;
	block::Result<void> write(block::Meta block, const void *data) override;
	block::Result<void> flush() override;

private:
	MetaDevice(std::string path, ScopedFd fd, std::uint64_t blocks);

	struct Free {
		void operator()(void *memory) const;
	};

	std::string path_;
	ScopedFd fd_;
	std::uint64_t blocks_;
	std::unique_ptr<void, Free> aligned_; /* a block, for who brings one that is not */
};

/* What an error of the block store's logic means to who looks at @path. */
[[nodiscard]] Error explain(block::Error error, const std::string &path);

/* The value of @result, whose error is one of @path's. */
template <typename T>
[[nodiscard]] Result<T> told(block::Result<T> result, const std::string &path)
{
	if (!result.ok())
		return std::unexpected(explain(result.error(), path));
	if constexpr (std::is_void_v<T>)
		return {};
	else
		return std::move(result).value();
}

} /* namespace corbel::pool */
