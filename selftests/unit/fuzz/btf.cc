/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: any two blobs, everything that can be asked about them. The
 * input is the length of the base blob in two bytes, the base, and the split.
 */
#include "../btf_blob.hh"

#include <cstring>

using namespace corbel::compat;
using namespace corbel::unit;

namespace {

void ask(const Btf &btf)
{
	char out[256];

	for (BtfTypeId id{0}; id.value < btf.type_count() && id.value < 64; id.value++) {
		(void)btf.print(id, out).ok();
		(void)btf.member(id, "a.b").ok();
		(void)btf.parameter(id, 0).ok();
		/* By the names that the blob itself has, so that lookups get somewhere. */
		const auto type = btf.type(id);
		if (!type.ok())
			continue;
		const auto name = btf.name(type.value());
		if (!name.ok())
			continue;
		(void)btf.find(type.value().kind, name.value()).ok();
		(void)btf.member_offset(name.value(), name.value()).ok();
		(void)btf.function_proto(name.value()).ok();
		(void)btf.tracepoint_proto(name.value().after(10)).ok();
		(void)btf.prints_as(id, name.value()).ok();
	}
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	std::uint16_t base_size;

	if (size < sizeof(base_size))
		return -1;
	std::memcpy(&base_size, data, sizeof(base_size));
	const auto *bytes = reinterpret_cast<const std::byte *>(data + sizeof(base_size));
	size -= sizeof(base_size);
	if (base_size > size)
		return -1;

	/* Allocations of their own: a read past either blob is a read past the heap's. */
	OpenBtf open(std::vector<std::byte>(bytes, bytes + base_size),
		     std::vector<std::byte>(bytes + base_size, bytes + size));
	const auto btf = open.open();
	if (btf.ok())
		ask(btf.value());
	return 0;
}
