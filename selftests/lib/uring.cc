// SPDX-License-Identifier: GPL-2.0-or-later
#include "uring.hh"
#include "tap.hh"

#include <algorithm>
#include <atomic>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace corbel::selftest {

namespace {

std::atomic_ref<unsigned> counter(char *rings, unsigned offset)
{
	return std::atomic_ref(*reinterpret_cast<unsigned *>(rings + offset));
}

} // namespace

io_ring::io_ring() : fd(static_cast<int>(syscall(SYS_io_uring_setup, entries, &parameters)))
{
	if (!fd)
		skip("this host has no io_uring: {}", error_name(errno));
	rings_bytes =
		std::max(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned),
			 parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe));
	void *place = mmap(nullptr, rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
			   IORING_OFF_SQ_RING);
	CHECK(place != MAP_FAILED && parameters.features & IORING_FEAT_SINGLE_MMAP,
	      "mapping an io_uring: {}", error_name(errno));
	rings = static_cast<char *>(place);
	place = mmap(nullptr, parameters.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd.get(), IORING_OFF_SQES);
	CHECK(place != MAP_FAILED, "mapping the requests of an io_uring: {}", error_name(errno));
	requests = static_cast<io_uring_sqe *>(place);
}

io_ring::~io_ring()
{
	munmap(requests, parameters.sq_entries * sizeof(io_uring_sqe));
	munmap(rings, rings_bytes);
}

int io_ring::submit(const io_uring_sqe &request)
{
	const unsigned tail = counter(rings, parameters.sq_off.tail).load();
	const unsigned slot = tail % parameters.sq_entries;

	requests[slot] = request;
	reinterpret_cast<unsigned *>(rings + parameters.sq_off.array)[slot] = slot;
	counter(rings, parameters.sq_off.tail).store(tail + 1);
	const long done =
		syscall(SYS_io_uring_enter, fd.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
	CHECK_EQ(done, 1, "io_uring_enter: {}", error_name(errno));
	const unsigned head = counter(rings, parameters.cq_off.head).load();
	CHECK(head != counter(rings, parameters.cq_off.tail).load(), "there is no completion");
	const auto *completions = reinterpret_cast<io_uring_cqe *>(rings + parameters.cq_off.cqes);
	const int result = completions[head % parameters.cq_entries].res;
	counter(rings, parameters.cq_off.head).store(head + 1);
	return result;
}

int io_ring::write(int file, const void *from, unsigned bytes)
{
	io_uring_sqe request = {};

	request.opcode = IORING_OP_WRITE;
	request.fd = file;
	request.addr = reinterpret_cast<__u64>(from);
	request.len = bytes;
	return submit(request);
}

int io_ring::read(int file, void *to, unsigned bytes)
{
	io_uring_sqe request = {};

	request.opcode = IORING_OP_READ;
	request.fd = file;
	request.addr = reinterpret_cast<__u64>(to);
	request.len = bytes;
	return submit(request);
}

int io_ring::register_buffer(void *at, size_t bytes)
{
	const iovec vector{at, bytes};

	return syscall(SYS_io_uring_register, fd.get(), IORING_REGISTER_BUFFERS, &vector, 1) < 0
		       ? -errno
		       : 0;
}

} // namespace corbel::selftest
