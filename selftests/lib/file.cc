// SPDX-License-Identifier: GPL-2.0-or-later
#include "file.hh"

#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>

namespace corbel::selftest {

std::string read_file(const std::string &path)
{
	unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	std::string content;
	char piece[16384];
	ssize_t length;

	while (fd && (length = read(fd.get(), piece, sizeof(piece))) > 0)
		content.append(piece, length);
	return content;
}

bool file_exists(const std::string &path)
{
	return access(path.c_str(), F_OK) == 0;
}

std::string environment(const char *name, std::string_view otherwise)
{
	const char *value = std::getenv(name);

	return value && *value ? value : std::string(otherwise);
}

double scale()
{
	double factor = std::atof(environment("CORBEL_SCALE", "1").c_str());

	return factor > 0 ? factor : 1;
}

unsigned long amount(unsigned long ordinary, unsigned long full)
{
	auto wanted = static_cast<unsigned long>(static_cast<double>(ordinary) * scale());

	if (scale() >= 10 && wanted < full)
		return full;
	return wanted ? wanted : 1;
}

unsigned count_open_fds()
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	if (!directory)
		return 0;
	while (const dirent *entry = readdir(directory))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 1; /* the directory itself */
}

std::string error_name(int error)
{
	const char *name = strerrorname_np(error < 0 ? -error : error);

	if (error == 0)
		return "0";
	return name ? name : std::to_string(error);
}

} // namespace corbel::selftest
