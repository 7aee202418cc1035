/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two ends of a transfer between memory objects, and what connects them.
 */
#pragma once

#include "memory_object.hh"

#include <corbel/pager.h>

#include <array>
#include <functional>
#include <utility>

namespace corbel::selftest {

/* A connection within this host: two ends, over loopback TCP. */
struct tcp_pair {
	tcp_pair();

	unique_fd first, second;
};

/* Kernel TLS 1.3, AES-GCM-256, both ways, with fresh keys. False: there is none here. */
[[nodiscard]] bool encrypt(const tcp_pair &pair);

/* A pager; closed by close() or with it. */
class pager {
public:
	pager() = default;
	/* Fails the case if it is refused. */
	explicit pager(const corbel_pager_new &request, const memory_object &memory);

	int fd() const { return descriptor.get(); }
	void close() { descriptor.reset(); }
	corbel_pager_info info() const;
	uint64_t go(unsigned flags = 0) const;
	uint64_t round() const;

private:
	unique_fd descriptor;
};

/*
 * What CORBEL_PAGER_ROUND answers to a thread that gets signals from when `meanwhile` has
 * returned until it is back.
 */
int interrupt_round(const pager &serve, const std::function<void()> &meanwhile);

/* Answers a descriptor or a negative error number. */
int make_pager(const memory_object &memory, corbel_pager_new &request);

struct transfer_options {
	bool tls = false;
	unsigned window = 0;
	unsigned serve_flags = 0;
};

/* What goes from `source` to `target` within this host. */
class transfer {
public:
	transfer(const memory_object &source, const memory_object &target,
		 const transfer_options &options = {});

	void go() { serve.go(); }
	/* Until both ends are done; fails the case if one of them is not well. */
	void finish() const;
	bool is_done() const;
	void print(std::string_view what) const;

	pager serve, fetch;
};

/* An object whose pages hold the pattern of `seed`, but for every `zero_every`th, which is zero. */
void fill_pattern(const memory_object &memory, uint64_t seed, unsigned zero_every = 0);
/* Words that are not as fill_pattern() left them. */
uint64_t count_wrong(const memory_object &memory, uint64_t seed, unsigned zero_every = 0);

void seal(const memory_object &memory);
void unseal(const memory_object &memory);

} // namespace corbel::selftest
