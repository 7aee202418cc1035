// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtio_rng.hh"

#include <linux/virtio_ids.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace corbel::vmm {

namespace {

constexpr std::uint16_t class_other = 0xff00;
constexpr std::uint64_t most_at_once = 256; /* which getrandom() gives as a whole */

} /* namespace */

VirtioPci::Model entropy_model()
{
	return {VIRTIO_ID_RNG, class_other, 0, 1, {}};
}

Result<std::uint32_t> serve_entropy(const Chain &chain, Journal &journal)
{
	std::string bytes(std::min(chain.writable_bytes, most_at_once), '\0');

	if (journal.mode() == Mode::replay) {
		const auto next = CORBEL_EXPECT(journal.peek());

		if (info_of(next) != static_cast<std::uint8_t>(Channel::entropy))
			return std::unexpected(journal.difference("random numbers were to come"));
		bytes = CORBEL_EXPECT(journal.take(Kind::data, bytes.size()));
	} else if (::getrandom(bytes.data(), bytes.size(), 0) !=
		   static_cast<ssize_t>(bytes.size())) {
		return failure(errno, "The host has no random numbers for the guest: " +
					      describe_errno(errno) + ".");
	}
	CORBEL_EXPECT(
		journal.give(Kind::data, static_cast<std::uint8_t>(Channel::entropy), 0, bytes));
	return static_cast<std::uint32_t>(chain.write(0, std::as_bytes(std::span(bytes))));
}

} /* namespace corbel::vmm */
