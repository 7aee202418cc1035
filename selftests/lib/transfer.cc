// SPDX-License-Identifier: GPL-2.0-or-later
#include "transfer.hh"

#include "wait.hh"

#include <atomic>
#include <csignal>
#include <cstring>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <thread>

namespace corbel::selftest {

tcp_pair::tcp_pair()
{
	const unique_fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	sockaddr_in address = {};
	socklen_t length = sizeof(address);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(listener, "socket: {}", error_name(errno));
	CHECK(bind(listener.get(), reinterpret_cast<sockaddr *>(&address), length) == 0 &&
		      listen(listener.get(), 1) == 0 &&
		      getsockname(listener.get(), reinterpret_cast<sockaddr *>(&address),
				  &length) == 0,
	      "listening on loopback: {}", error_name(errno));
	first.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	CHECK(connect(first.get(), reinterpret_cast<sockaddr *>(&address), length) == 0,
	      "connecting on loopback: {}", error_name(errno));
	second.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
	CHECK(second, "accept: {}", error_name(errno));
}

namespace {

tls12_crypto_info_aes_gcm_256 fresh_key()
{
	tls12_crypto_info_aes_gcm_256 key = {};

	CHECK(getrandom(&key, sizeof(key), 0) == sizeof(key), "getrandom: {}", error_name(errno));
	key.info.version = TLS_1_3_VERSION;
	key.info.cipher_type = TLS_CIPHER_AES_GCM_256;
	std::memset(key.rec_seq, 0, sizeof(key.rec_seq));
	return key;
}

void use_keys(int fd, const tls12_crypto_info_aes_gcm_256 &send,
	      const tls12_crypto_info_aes_gcm_256 &receive)
{
	CHECK(setsockopt(fd, SOL_TLS, TLS_TX, &send, sizeof(send)) == 0, "TLS_TX: {}",
	      error_name(errno));
	CHECK(setsockopt(fd, SOL_TLS, TLS_RX, &receive, sizeof(receive)) == 0, "TLS_RX: {}",
	      error_name(errno));
}

} // namespace

bool encrypt(const tcp_pair &pair)
{
	const auto there = fresh_key(), back = fresh_key();

	for (const int fd : {pair.first.get(), pair.second.get()})
		if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")) != 0)
			return false;
	use_keys(pair.first.get(), there, back);
	use_keys(pair.second.get(), back, there);
	return true;
}

int make_pager(const memory_object &memory, corbel_pager_new &new_pager)
{
	return request(memory.fd(), CORBEL_PAGER_NEW, new_pager);
}

pager::pager(const corbel_pager_new &asked, const memory_object &memory)
{
	corbel_pager_new copy = asked;
	const int fd = make_pager(memory, copy);

	CHECK(fd >= 0, "a pager of role {}: {}", asked.role, error_name(fd));
	descriptor.reset(fd);
}

corbel_pager_info pager::info() const
{
	corbel_pager_info info = {};

	CHECK_EQ(request(fd(), CORBEL_PAGER_INFO, info), 0, "CORBEL_PAGER_INFO");
	return info;
}

uint64_t pager::go(unsigned flags) const
{
	corbel_pager_go go = {.flags = flags};

	CHECK_EQ(request(fd(), CORBEL_PAGER_GO, go), 0, "CORBEL_PAGER_GO");
	return go.missing;
}

uint64_t pager::round() const
{
	corbel_pager_round round = {};

	CHECK_EQ(request(fd(), CORBEL_PAGER_ROUND, round), 0, "CORBEL_PAGER_ROUND");
	return round.pages;
}

int interrupt_round(const pager &serve, const std::function<void()> &meanwhile)
{
	struct sigaction action = {};

	action.sa_handler = [](int) {};
	sigaction(SIGUSR1, &action, nullptr);
	std::atomic<int> answer{1};
	std::thread sender([&] {
		corbel_pager_round round = {};

		answer = request(serve.fd(), CORBEL_PAGER_ROUND, round);
	});
	meanwhile();
	wait_until("the signal is heard", [&] {
		pthread_kill(sender.native_handle(), SIGUSR1);
		return answer != 1;
	});
	sender.join();
	return answer;
}

transfer::transfer(const memory_object &source, const memory_object &target,
		   const transfer_options &options)
{
	const tcp_pair demand, push;
	corbel_pager_new request = {};

	if (options.tls && (!encrypt(demand) || !encrypt(push)))
		skip("this kernel has no TLS: {}", error_name(errno));
	CHECK(getrandom(request.session, sizeof(request.session), 0) == sizeof(request.session),
	      "getrandom: {}", error_name(errno));
	request.flags = options.tls ? 0 : CORBEL_PAGER_PLAIN;
	request.role = CORBEL_PAGER_FETCH;
	request.window = options.window;
	request.demand = demand.first.get();
	request.push = push.first.get();
	fetch = pager(request, target);
	request.flags |= options.serve_flags;
	request.role = CORBEL_PAGER_SERVE;
	request.window = 0;
	request.demand = demand.second.get();
	request.push = push.second.get();
	serve = pager(request, source);
}

bool transfer::is_done() const
{
	for (const pager *end : {&serve, &fetch}) {
		const auto info = end->info();

		CHECK(info.state == CORBEL_PAGER_RUNNING || info.state == CORBEL_PAGER_DONE,
		      "role {}: state {}, error {}", info.role, info.state, info.error);
	}
	return serve.info().state == CORBEL_PAGER_DONE && fetch.info().state == CORBEL_PAGER_DONE;
}

void transfer::finish() const
{
	wait_until("both pagers are done", [&] { return is_done(); });
}

void transfer::print(std::string_view what) const
{
	const auto info = fetch.info();

	comment("{}: {} pages, {} by demand, {} by push, {} adopted, {} zero, {} compressed, {} "
		"requests, {} again, {} duplicates, {} KiB",
		what, info.pages, info.by_demand, info.by_push, info.adopted, info.zeros,
		info.compressed, info.demanded, info.again, info.duplicates, info.bytes >> 10);
}

void fill_pattern(const memory_object &memory, uint64_t seed, unsigned zero_every)
{
	const mapped map(memory.fd(), memory.pages() * page_bytes);

	for (uint64_t page = 0; page < memory.pages(); page++) {
		if (zero_every && page % zero_every == 0) {
			std::memset(map.bytes(page), 0, page_bytes);
			continue;
		}
		const page_pattern pattern(page, seed);
		std::memcpy(map.bytes(page), pattern.words, page_bytes);
	}
}

uint64_t count_wrong(const memory_object &memory, uint64_t seed, unsigned zero_every)
{
	const mapped map(memory.fd(), memory.pages() * page_bytes, 0, PROT_READ);
	static constexpr char zeros[page_bytes] = {};
	uint64_t wrong = 0;

	for (uint64_t page = 0; page < memory.pages(); page++) {
		if (zero_every && page % zero_every == 0) {
			wrong += std::memcmp(map.bytes(page), zeros, page_bytes) != 0;
			continue;
		}
		const page_pattern pattern(page, seed);
		wrong += std::memcmp(map.bytes(page), pattern.words, page_bytes) != 0;
	}
	return wrong;
}

void seal(const memory_object &memory)
{
	corbel_memory_seal seal = {};

	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_SEAL, seal), 0, "CORBEL_MEMORY_SEAL");
}

void unseal(const memory_object &memory)
{
	corbel_memory_seal seal = {};

	seal.flags = CORBEL_MEMORY_UNSEAL;
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_SEAL, seal), 0, "CORBEL_MEMORY_UNSEAL");
}

} // namespace corbel::selftest
