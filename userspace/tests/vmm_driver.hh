/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmm_driver.hh - the driver's side of a virtqueue, in memory of a guest: for tests. */
#pragma once

#include <vmm/virtqueue.hh>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace corbel::test {

struct Descriptor {
	std::uint64_t address;
	std::uint32_t bytes;
	std::uint16_t flags, next;
};

constexpr std::uint16_t flag_next = 1, flag_write = 2, flag_indirect = 4;

class RingDriver {
public:
	static constexpr std::uint64_t descriptors = 0x10000, driver = 0x12000, device = 0x13000;

	explicit RingDriver(vmm::GuestMemory &memory, std::uint16_t size = 8) : memory_(memory)
	{
		queue.descriptors = descriptors;
		queue.driver = driver;
		queue.device = device;
		queue.size = size;
		queue.enabled = 1;
	}

	template <typename T>
	void put(std::uint64_t at, const T &value)
	{
		std::memcpy(memory_.get().writable(at, sizeof(T)).data(), &value, sizeof(T));
	}
	template <typename T>
	[[nodiscard]] T get(std::uint64_t at) const
	{
		T value;

		std::memcpy(&value, memory_.get().readable(at, sizeof(T)).data(), sizeof(T));
		return value;
	}
	void put_text(std::uint64_t at, std::string_view text)
	{
		std::memcpy(memory_.get().writable(at, text.size()).data(), text.data(),
			    text.size());
	}
	[[nodiscard]] std::string text(std::uint64_t at, std::size_t bytes) const
	{
		const auto span = memory_.get().readable(at, bytes);

		return {reinterpret_cast<const char *>(span.data()), span.size()};
	}

	void describe(unsigned number, const Descriptor &descriptor)
	{
		put(descriptors + number * sizeof(Descriptor), descriptor);
	}
	/* Descriptors from 0 on, each with the next, offered as one request. */
	void offer(std::vector<Descriptor> chain)
	{
		for (std::uint16_t i = 0; i < chain.size(); i++) {
			if (i + 1U < chain.size()) {
				chain[i].flags |= flag_next;
				chain[i].next = static_cast<std::uint16_t>(i + 1);
			}
			describe(i, chain[i]);
		}
		offer(0);
	}
	void offer(std::uint16_t head)
	{
		put(driver + 4 + offered_ % queue.size * 2, head);
		put(driver + 2, ++offered_);
	}
	[[nodiscard]] std::uint16_t used() const { return get<std::uint16_t>(device + 2); }

	vmm::Virtqueue queue;

private:
	std::reference_wrapper<vmm::GuestMemory> memory_;
	std::uint16_t offered_ = 0;
};

} /* namespace corbel::test */
