// SPDX-License-Identifier: GPL-2.0-or-later
#include "socket_bio.hh"

#include <sys/socket.h>

#include <cerrno>

namespace corbel::trust {

namespace {

struct Socket {
	int fd;
	std::optional<unsigned char> first;
};

Socket *socket_of(BIO *bio)
{
	return static_cast<Socket *>(BIO_get_data(bio));
}

bool would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int read_bytes(BIO *bio, char *into, std::size_t size, std::size_t *done)
{
	const auto got = ::recv(socket_of(bio)->fd, into, size, MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	*done = got > 0 ? static_cast<std::size_t>(got) : 0;
	if (got > 0 && !socket_of(bio)->first)
		socket_of(bio)->first = static_cast<unsigned char>(*into);
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	if (got < 0 && would_block(errno))
		BIO_set_retry_read(bio);
	return got > 0;
}

int write_bytes(BIO *bio, const char *from, std::size_t size, std::size_t *done)
{
	const auto put = ::send(socket_of(bio)->fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	*done = put > 0 ? static_cast<std::size_t>(put) : 0;
	if (put < 0 && would_block(errno))
		BIO_set_retry_write(bio);
	return put > 0;
}

long control(BIO *bio, int command, long, void *)
{
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

int destroy(BIO *bio)
{
	delete socket_of(bio);
	return 1;
}

const BIO_METHOD *method()
{
	using Method = std::unique_ptr<BIO_METHOD, Freed<BIO_meth_free>>;
	static const Method made = [] {
		Method fresh(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK |
						  BIO_TYPE_DESCRIPTOR,
					  "corbel socket"));

		if (fresh) {
			BIO_meth_set_read_ex(fresh.get(), read_bytes);
			BIO_meth_set_write_ex(fresh.get(), write_bytes);
			BIO_meth_set_ctrl(fresh.get(), control);
			BIO_meth_set_destroy(fresh.get(), destroy);
		}
		return fresh;
	}();

	return made.get();
}

} /* namespace */

BioPointer socket_bio(int fd)
{
	BioPointer bio(method() ? BIO_new(method()) : nullptr);

	if (bio) {
		BIO_set_data(bio.get(), new Socket{.fd = fd, .first = {}});
		BIO_set_init(bio.get(), 1);
	}
	return bio;
}

std::optional<unsigned char> first_byte(BIO *bio)
{
	return socket_of(bio)->first;
}

} /* namespace corbel::trust */
