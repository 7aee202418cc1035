// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats_reader.hh"

#include "device.hh"

#include <corbel/dist.h>
#include <corbel/qos.h>

#include <cstring>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace corbel::selftest {

namespace {

void read_all(int fd, void *to, size_t bytes, size_t offset)
{
	ssize_t got = pread(fd, to, bytes, static_cast<off_t>(offset));

	CHECK(got == static_cast<ssize_t>(bytes), "pread of {} at {}: {}", bytes, offset,
	      got < 0 ? error_name(errno) : std::to_string(got));
}

/* Text of a field that has to hold its NUL. */
std::string text_of(const char *field, size_t size)
{
	size_t length = strnlen(field, size);

	CHECK(length && length < size, "a name of {} bytes in {}", length, size);
	for (size_t i = length; i < size; i++)
		CHECK_EQ(field[i], 0, "byte {} behind '{}'", i, field);
	return {field, length};
}

} // namespace

stats_reader::stats_reader(unique_fd fd) : descriptor(std::move(fd))
{
	read_all(this->fd(), &head, sizeof(head), 0);
	CHECK_EQ(head.flags, 0u, "flags of the header");
	CHECK(head.name_size > 1 && head.name_size <= 4096, "name_size {}", head.name_size);
	CHECK(head.num_desc > 0, "no descriptor");

	std::vector<char> text(head.name_size);
	read_all(this->fd(), text.data(), text.size(), head.id_offset);
	name = text_of(text.data(), text.size());
	for (unsigned i = 0; i < head.num_desc; i++) {
		const size_t at =
			head.desc_offset + i * (sizeof(kvm_stats_desc) + size_t{head.name_size});
		place one;

		read_all(this->fd(), &one.descriptor, sizeof(kvm_stats_desc), at);
		read_all(this->fd(), text.data(), text.size(), at + sizeof(kvm_stats_desc));
		one.name = text_of(text.data(), text.size());
		CHECK((one.descriptor.flags & KVM_STATS_TYPE_MASK) <= KVM_STATS_TYPE_MAX &&
			      (one.descriptor.flags & KVM_STATS_UNIT_MASK) <= KVM_STATS_UNIT_MAX &&
			      (one.descriptor.flags & KVM_STATS_BASE_MASK) <= KVM_STATS_BASE_MAX,
		      "{}: flags {:#x}", one.name, one.descriptor.flags);
		CHECK(one.descriptor.size > 0, "{} has no value", one.name);
		CHECK(one.descriptor.offset % sizeof(uint64_t) == 0, "{}: offset {}", one.name,
		      one.descriptor.offset);
		data_bytes = std::max(data_bytes, one.descriptor.offset +
							  one.descriptor.size * sizeof(uint64_t));
		places.push_back(one);
	}
}

std::map<std::string, stats_value> stats_reader::read() const
{
	std::vector<uint64_t> data(data_bytes / sizeof(uint64_t));
	std::map<std::string, stats_value> all;

	read_all(fd(), data.data(), data_bytes, head.data_offset);
	for (const place &one : places) {
		const uint64_t *first = data.data() + one.descriptor.offset / sizeof(uint64_t);
		stats_value value = {one.descriptor, {first, first + one.descriptor.size}};

		CHECK(all.emplace(one.name, value).second, "two are called '{}'", one.name);
	}
	return all;
}

std::map<std::string, uint64_t> stats_reader::read_scalars() const
{
	std::map<std::string, uint64_t> scalars;

	for (const auto &[name, value] : read()) {
		CHECK_EQ(value.values.size(), 1u, "values of '{}'", name);
		scalars[name] = value.values[0];
	}
	return scalars;
}

stats_reader irq_stats(int irq, unsigned vcpu, unsigned vector)
{
	corbel_irq_stats argument = {.vcpu = vcpu, .vector = vector};
	int result = request(irq, CORBEL_IRQ_STATS, argument);

	CHECK(result >= 0, "CORBEL_IRQ_STATS answers {}", error_name(result));
	return stats_reader(unique_fd(result));
}

stats_reader qos_stats(int device, const std::string &path, unsigned object)
{
	corbel_qos_stats argument = {};
	struct stat found = {};

	CHECK(stat(path.c_str(), &found) == 0, "{}: {}", path, std::strerror(errno));
	argument.major = major(found.st_rdev);
	argument.minor = minor(found.st_rdev);
	argument.object = object;
	int result = request(device, CORBEL_QOS_STATS, argument);
	CHECK(result >= 0, "CORBEL_QOS_STATS answers {}", error_name(result));
	return stats_reader(unique_fd(result));
}

stats_reader dist_stats(int dist)
{
	corbel_dist_stats argument = {};
	int result = request(dist, CORBEL_DIST_STATS, argument);

	CHECK(result >= 0, "CORBEL_DIST_STATS answers {}", error_name(result));
	return stats_reader(unique_fd(result));
}

} // namespace corbel::selftest
