// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file_operations FILE SECONDS SEED - random operations on a file by all ways that Linux has to
 * read, write and reshape one, each compared with the same done in memory. What is written is
 * sent out and dropped from the page cache now and then, so that it is read from the device.
 *
 * After the idea of fsx (Apple, 1991). Exit status 0: all was as it should be; 1: it was not,
 * with the place and what had been done last; 2: FILE cannot be used.
 */
#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr uint64_t most = 2 << 20, longest = 96 << 10, unit = 4096;
constexpr unsigned remembered = 24;

struct wrong : std::runtime_error {
	using std::runtime_error::runtime_error;
};

class exerciser {
public:
	exerciser(std::string path, uint64_t seed)
		: path(std::move(path)),
		  random(seed),
		  buffer(static_cast<uint8_t *>(std::aligned_alloc(unit, longest)))
	{
		open_file(O_CREAT | O_TRUNC);
	}
	~exerciser()
	{
		close(fd);
		close(direct);
		std::free(buffer);
	}
	exerciser(const exerciser &) = delete;
	exerciser &operator=(const exerciser &) = delete;

	void step()
	{
		using operation = void (exerciser::*)();
		static constexpr operation operations[] = {
			&exerciser::write_cached, &exerciser::write_cached,
			&exerciser::write_direct, &exerciser::write_direct,
			&exerciser::write_mapped, &exerciser::read_cached,
			&exerciser::read_cached,  &exerciser::read_direct,
			&exerciser::read_mapped,  &exerciser::cut,
			&exerciser::punch,	  &exerciser::zero,
			&exerciser::preallocate,  &exerciser::collapse,
			&exerciser::insert,	  &exerciser::copy,
			&exerciser::sync,	  &exerciser::forget,
			&exerciser::reopen,
		};
		(this->*operations[below(std::size(operations))])();
	}

	void compare_all()
	{
		struct stat found{};

		forget();
		must(fstat(fd, &found), "fstat");
		if (static_cast<uint64_t>(found.st_size) != expected.size())
			throw wrong(fmt::format("it has {} bytes and not {}", found.st_size,
						expected.size()));
		for (uint64_t at = 0; at < expected.size(); at += longest)
			read_and_compare(fd, at, std::min(longest, expected.size() - at));
	}

	std::map<std::string, uint64_t> counts;
	std::deque<std::string> last;

private:
	std::string path;
	std::mt19937_64 random;
	uint8_t *buffer;
	int fd = -1, direct = -1;
	std::vector<uint8_t> expected;

	uint64_t below(uint64_t end) { return random() % end; }

	static void must(long result, const char *what)
	{
		if (result < 0)
			throw wrong(fmt::format("{}: {}", what, std::strerror(errno)));
	}
	void note(const char *what, uint64_t at = 0, uint64_t bytes = 0)
	{
		counts[what]++;
		last.push_back(fmt::format("{} {}+{} of {}", what, at, bytes, expected.size()));
		if (last.size() > remembered)
			last.pop_front();
	}
	void open_file(int flags)
	{
		fd = open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
		if (fd < 0)
			throw std::invalid_argument(
				fmt::format("{}: {}", path, std::strerror(errno)));
		direct = open(path.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT);
		if (direct < 0)
			throw std::invalid_argument(
				fmt::format("{}: O_DIRECT: {}", path, std::strerror(errno)));
	}

	struct range {
		uint64_t at, bytes;
	};
	/* Within the file as it is; empty if it is too short. */
	range inside(uint64_t align)
	{
		if (expected.size() < align)
			return {};
		const uint64_t at = below(expected.size() / align) * align;
		const uint64_t left = (expected.size() - at) / align * align;
		const uint64_t bytes = (1 + below(longest / align)) * align;

		return {at, std::min(bytes, left)};
	}
	range anywhere(uint64_t align)
	{
		const uint64_t at = below(most / align) * align;

		return {at, std::min((1 + below(longest / align)) * align, most - at)};
	}
	void fill(uint64_t bytes)
	{
		for (uint64_t i = 0; i < bytes; i += sizeof(uint64_t)) {
			const uint64_t word = random();
			std::memcpy(buffer + i, &word, std::min<uint64_t>(sizeof(word), bytes - i));
		}
	}
	void put(uint64_t at, uint64_t bytes)
	{
		if (expected.size() < at + bytes)
			expected.resize(at + bytes);
		std::copy_n(buffer, bytes, expected.begin() + static_cast<ptrdiff_t>(at));
	}
	void compare(const uint8_t *found, uint64_t at, uint64_t bytes) const
	{
		for (uint64_t i = 0; i < bytes; i++)
			if (found[i] != expected[at + i])
				throw wrong(fmt::format("byte {} is {:#x} and not {:#x}", at + i,
							found[i], expected[at + i]));
	}
	void write_by(int by, const char *how, range there)
	{
		note(how, there.at, there.bytes);
		fill(there.bytes);
		const ssize_t done = pwrite(by, buffer, there.bytes, static_cast<off_t>(there.at));
		must(done, how);
		if (static_cast<uint64_t>(done) != there.bytes)
			throw wrong(fmt::format("{}: {} of {} bytes", how, done, there.bytes));
		put(there.at, there.bytes);
	}
	void read_and_compare(int by, uint64_t at, uint64_t bytes)
	{
		const ssize_t done = pread(by, buffer, bytes, static_cast<off_t>(at));

		must(done, "pread");
		if (static_cast<uint64_t>(done) != bytes)
			throw wrong(fmt::format("pread: {} of {} bytes at {}", done, bytes, at));
		compare(buffer, at, bytes);
	}
	/* False: this file system does not know it. */
	bool allocate(int mode, const char *how, range there)
	{
		note(how, there.at, there.bytes);
		if (!fallocate(fd, mode, static_cast<off_t>(there.at),
			       static_cast<off_t>(there.bytes)))
			return true;
		if (errno != EOPNOTSUPP)
			must(-1, how);
		counts[how]--;
		last.pop_back();
		return false;
	}
	template <typename Use>
	void mapped(range there, int protection, Use &&use)
	{
		const uint64_t first = there.at / unit * unit;
		const uint64_t bytes = there.at + there.bytes - first;
		void *map =
			mmap(nullptr, bytes, protection, MAP_SHARED, fd, static_cast<off_t>(first));

		if (map == MAP_FAILED)
			must(-1, "mmap");
		use(static_cast<uint8_t *>(map) + (there.at - first));
		munmap(map, bytes);
	}

	void write_cached() { write_by(fd, "write", anywhere(1)); }
	void write_direct() { write_by(direct, "direct write", anywhere(unit)); }
	void write_mapped()
	{
		const range there = inside(1);

		if (!there.bytes)
			return;
		note("mapped write", there.at, there.bytes);
		fill(there.bytes);
		mapped(there, PROT_READ | PROT_WRITE,
		       [&](uint8_t *at) { std::memcpy(at, buffer, there.bytes); });
		put(there.at, there.bytes);
	}
	void read_cached()
	{
		const range there = inside(1);

		note("read", there.at, there.bytes);
		read_and_compare(fd, there.at, there.bytes);
	}
	void read_direct()
	{
		const range there = inside(unit);

		note("direct read", there.at, there.bytes);
		read_and_compare(direct, there.at, there.bytes);
	}
	void read_mapped()
	{
		const range there = inside(1);

		if (!there.bytes)
			return;
		note("mapped read", there.at, there.bytes);
		mapped(there, PROT_READ,
		       [&](const uint8_t *at) { compare(at, there.at, there.bytes); });
	}
	void cut()
	{
		const uint64_t size = below(most);

		note("truncate", size);
		must(ftruncate(fd, static_cast<off_t>(size)), "ftruncate");
		expected.resize(size);
	}
	void punch()
	{
		const range there = inside(1);

		if (there.bytes &&
		    allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch hole", there))
			std::fill_n(expected.begin() + static_cast<ptrdiff_t>(there.at),
				    there.bytes, 0);
	}
	void zero()
	{
		const range there = anywhere(1);

		if (!allocate(FALLOC_FL_ZERO_RANGE, "zero range", there))
			return;
		expected.resize(std::max(expected.size(), there.at + there.bytes));
		std::fill_n(expected.begin() + static_cast<ptrdiff_t>(there.at), there.bytes, 0);
	}
	void preallocate()
	{
		const range there = anywhere(1);

		if (allocate(0, "preallocate", there))
			expected.resize(std::max(expected.size(), there.at + there.bytes));
	}
	void collapse()
	{
		const range there = inside(unit);
		const auto at = expected.begin() + static_cast<ptrdiff_t>(there.at);

		/* What would be the end of the file is for ftruncate. */
		if (there.bytes && there.at + there.bytes < expected.size() &&
		    allocate(FALLOC_FL_COLLAPSE_RANGE, "collapse range", there))
			expected.erase(at, at + static_cast<ptrdiff_t>(there.bytes));
	}
	void insert()
	{
		const range there = inside(unit);

		if (there.bytes && expected.size() + there.bytes <= most &&
		    allocate(FALLOC_FL_INSERT_RANGE, "insert range", there))
			expected.insert(expected.begin() + static_cast<ptrdiff_t>(there.at),
					there.bytes, 0);
	}
	void copy()
	{
		const range from = inside(1);
		const uint64_t to = below(most - from.bytes + 1);

		if (!from.bytes || (to < from.at + from.bytes && from.at < to + from.bytes))
			return;
		note("copy_file_range", from.at, from.bytes);
		for (uint64_t done = 0; done < from.bytes;) {
			auto in = static_cast<off_t>(from.at + done);
			auto out = static_cast<off_t>(to + done);
			const ssize_t now =
				copy_file_range(fd, &in, fd, &out, from.bytes - done, 0);

			must(now, "copy_file_range");
			if (now == 0)
				throw wrong("copy_file_range copies nothing");
			done += static_cast<uint64_t>(now);
		}
		const std::vector<uint8_t> what(
			expected.begin() + static_cast<ptrdiff_t>(from.at),
			expected.begin() + static_cast<ptrdiff_t>(from.at + from.bytes));
		expected.resize(std::max(expected.size(), to + from.bytes));
		std::copy(what.begin(), what.end(), expected.begin() + static_cast<ptrdiff_t>(to));
	}
	void sync()
	{
		note("fsync");
		must(fsync(fd), "fsync");
	}
	void forget()
	{
		note("drop from memory");
		must(fsync(fd), "fsync");
		errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		must(errno ? -1 : 0, "posix_fadvise");
	}
	void reopen()
	{
		note("open again");
		close(fd);
		close(direct);
		open_file(0);
	}
};

} // namespace

int main(int argc, char **argv)
{
	if (argc != 4) {
		fmt::print(stderr, "usage: file_operations FILE SECONDS SEED\n");
		return 2;
	}
	try {
		exerciser file(argv[1], std::stoull(argv[3]));
		const auto end = std::chrono::steady_clock::now() +
				 std::chrono::seconds(std::stoul(argv[2]));

		try {
			/* On the slowest machine too there is something to compare. */
			for (unsigned i = 0; i < 200 || std::chrono::steady_clock::now() < end; i++)
				file.step();
			file.compare_all();
		} catch (const wrong &is) {
			fmt::print("# {}: {}; done last:\n", argv[1], is.what());
			for (const auto &one : file.last)
				fmt::print("#   {}\n", one);
			return 1;
		}
		uint64_t sum = 0;
		std::string text;
		for (const auto &[what, count] : file.counts) {
			sum += count;
			text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
		}
		fmt::print("# {} operations: {}\n", sum, text);
	} catch (const std::exception &error) {
		fmt::print(stderr, "{}\n", error.what());
		return 2;
	}
	return 0;
}
