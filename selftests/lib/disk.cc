// SPDX-License-Identifier: GPL-2.0-or-later
#include "disk.hh"
#include "tap.hh"
#include "wait.hh"

#include <cstdlib>
#include <cstring>
#include <endian.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <sys/socket.h>
#include <vector>

namespace corbel::selftest {

ram_disk::ram_disk()
{
	if (std::system("modprobe brd rd_nr=1 rd_size=4096 2>/dev/null") != 0)
		skip("there is no brd module here");
	wait_until("/dev/ram0 appears", [] { return file_exists("/dev/ram0"); });
	fd.reset(open("/dev/ram0", O_RDWR | O_DIRECT | O_CLOEXEC));
	CHECK(fd, "/dev/ram0: {}", error_name(errno));
}

ram_disk::~ram_disk()
{
	fd.reset();
	if (std::system("rmmod brd") != 0)
		comment("brd stays loaded");
}

slow_disk::slow_disk()
{
	int ends[2];

	if (std::system("modprobe nbd nbds_max=1 max_part=0 2>/dev/null") != 0)
		skip("there is no nbd module here");
	wait_until("/dev/nbd0 appears", [] { return file_exists("/dev/nbd0"); });
	device.reset(open("/dev/nbd0", O_RDWR | O_CLOEXEC));
	CHECK(device, "/dev/nbd0: {}", error_name(errno));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair: {}",
	      error_name(errno));
	server.reset(ends[0]);
	const unique_fd client(ends[1]);
	CHECK(ioctl(device.get(), NBD_SET_BLKSIZE, 4096) == 0 &&
		      ioctl(device.get(), NBD_SET_SIZE_BLOCKS, 256) == 0 &&
		      ioctl(device.get(), NBD_SET_SOCK, client.get()) == 0,
	      "setting up /dev/nbd0: {}", error_name(errno));
	service = std::thread([this] { (void)ioctl(device.get(), NBD_DO_IT); });
	wait_until("/dev/nbd0 has its size", [this] {
		fd.reset(open("/dev/nbd0", O_RDWR | O_DIRECT | O_CLOEXEC));
		return fd && lseek(fd.get(), 0, SEEK_END) == 256 * 4096;
	});
}

slow_disk::~slow_disk()
{
	fd.reset();
	(void)ioctl(device.get(), NBD_DISCONNECT);
	(void)ioctl(device.get(), NBD_CLEAR_SOCK);
	server.reset();
	service.join();
	device.reset();
	if (std::system("rmmod nbd") != 0)
		comment("nbd stays loaded");
}

void slow_disk::wait_read()
{
	nbd_request request;

	CHECK_EQ(recv(server.get(), &request, sizeof(request), MSG_WAITALL),
		 static_cast<ssize_t>(sizeof(request)), "a request of /dev/nbd0: {}",
		 error_name(errno));
	CHECK_EQ(be32toh(request.type), static_cast<uint32_t>(NBD_CMD_READ), "its type");
	std::memcpy(handle, request.handle, sizeof(handle));
	length = be32toh(request.len);
}

void slow_disk::finish_read(uint64_t word)
{
	nbd_reply reply = {};
	const std::vector<uint64_t> contents(length / sizeof(word), word);

	reply.magic = htobe32(NBD_REPLY_MAGIC);
	std::memcpy(reply.handle, handle, sizeof(handle));
	CHECK(send(server.get(), &reply, sizeof(reply), 0) == sizeof(reply) &&
		      send(server.get(), contents.data(), length, 0) ==
			      static_cast<ssize_t>(length),
	      "an answer to /dev/nbd0: {}", error_name(errno));
}

} // namespace corbel::selftest
