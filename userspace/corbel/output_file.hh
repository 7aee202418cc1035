/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output_file.hh - a file or standard output, written in large pieces. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <string>

namespace corbel::cli {

class OutputFile {
public:
	/* "-" is standard output; a file is made anew. */
	[[nodiscard]] static Result<OutputFile> open(const std::string &path);

	/* Text to be written goes here. */
	[[nodiscard]] std::string &buffer() { return buffer_; }

	/* Enough has gathered to be worth a write. */
	[[nodiscard]] bool is_large() const { return buffer_.size() >= 1 << 16; }

	/* Writes all. EPIPE: nobody reads any more. */
	[[nodiscard]] Result<void> write();

private:
	OutputFile(ScopedFd owned, int fd, std::string name)
		: owned_(std::move(owned)), fd_(fd), name_(std::move(name))
	{}

	ScopedFd owned_;
	int fd_;
	std::string name_;
	std::string buffer_;
};

} /* namespace corbel::cli */
