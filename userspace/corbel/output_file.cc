// SPDX-License-Identifier: GPL-2.0-or-later
#include "output_file.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::cli {

Result<OutputFile> OutputFile::open(const std::string &path)
{
	if (path == "-")
		return OutputFile(ScopedFd(), STDOUT_FILENO, "standard output");

	ScopedFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	if (!file)
		return failure(errno, fmt::format("{} cannot be opened for writing: {}.", path,
						  describe_errno(errno)));
	int fd = file.get();
	return OutputFile(std::move(file), fd, path);
}

Result<void> OutputFile::write()
{
	std::size_t done = 0;

	while (done < buffer_.size()) {
		auto written = ::write(fd_, buffer_.data() + done, buffer_.size() - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return failure(errno, fmt::format("{} cannot be written: {}.", name_,
							  describe_errno(errno)));
		done += static_cast<std::size_t>(written);
	}
	buffer_.clear();
	return {};
}

} /* namespace corbel::cli */
