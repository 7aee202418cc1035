// SPDX-License-Identifier: GPL-2.0-or-later
//
// PCI as a kernel without ACPI finds it, and virtio 1.0 as its drivers do.
#include <vmm/board.hh>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace {

using namespace corbel::vmm;

constexpr std::array<std::uint8_t, 8> registers{1, 2, 3, 4, 5, 6, 7, 8};
constexpr std::uint64_t feature = 1 << 5, version_1 = std::uint64_t{1} << 32;
constexpr unsigned disk = 2; /* its device number */

struct vmm_pci : testing::Test {
	vmm_pci()
	{
		board.pci().plug(Slot::disk, {2, 0x0180, feature, 1, registers});
		for (unsigned at = get(disk, PCI_CAPABILITY_LIST, 1); at;
		     at = get(disk, at + PCI_CAP_LIST_NEXT, 1)) {
			EXPECT_EQ(get(disk, at, 1), static_cast<unsigned>(PCI_CAP_ID_VNDR));
			capabilities[get(disk, at + 3, 1)] = at;
		}
		bar = get(disk, PCI_BASE_ADDRESS_0, 4) & ~3U;
	}

	std::uint32_t get(unsigned device, unsigned at, unsigned size)
	{
		out(0xcf8, 4, 0x80000000 | device << 11 | (at & 0xfc));
		return in(0xcfc + (at & 3), size);
	}
	void set(unsigned device, unsigned at, unsigned size, std::uint32_t value)
	{
		out(0xcf8, 4, 0x80000000 | device << 11 | (at & 0xfc));
		out(0xcfc + (at & 3), size, value);
	}
	std::uint32_t in(unsigned port, unsigned size)
	{
		return board.in(static_cast<std::uint16_t>(port), size, ++now);
	}
	void out(unsigned port, unsigned size, std::uint32_t value)
	{
		board.out(static_cast<std::uint16_t>(port), size, value, ++now, effects);
	}
	/* Where a part of the device is, in the BAR. */
	std::uint32_t part(unsigned type) { return bar + get(disk, capabilities.at(type) + 8, 4); }
	std::uint32_t common(unsigned at) { return part(VIRTIO_PCI_CAP_COMMON_CFG) + at; }
	/* As a driver does, up to but without DRIVER_OK. */
	void set_up()
	{
		set(disk, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
		out(common(VIRTIO_PCI_COMMON_GFSELECT), 4, 1);
		out(common(VIRTIO_PCI_COMMON_GF), 4, version_1 >> 32);
		out(common(VIRTIO_PCI_COMMON_STATUS), 1, 1 | 2 | VIRTIO_CONFIG_S_FEATURES_OK);
		out(common(VIRTIO_PCI_COMMON_Q_SIZE), 2, 64);
		out(common(VIRTIO_PCI_COMMON_Q_DESCLO), 4, 0x1000);
		out(common(VIRTIO_PCI_COMMON_Q_DESCHI), 4, 1);
		out(common(VIRTIO_PCI_COMMON_Q_AVAILLO), 4, 0x2000);
		out(common(VIRTIO_PCI_COMMON_Q_USEDLO), 4, 0x3000);
		out(common(VIRTIO_PCI_COMMON_Q_ENABLE), 2, 1);
	}
	VirtioPci &device() { return board.pci().device(Slot::disk); }
	std::uint8_t status()
	{
		return static_cast<std::uint8_t>(in(common(VIRTIO_PCI_COMMON_STATUS), 1));
	}

	Board board{0};
	Effects effects;
	GuestTime now = 0;
	std::map<unsigned, unsigned> capabilities;
	std::uint32_t bar = 0;
};

TEST_F(vmm_pci, has_a_bridge_and_what_was_plugged_in)
{
	out(0xcf8, 4, 0x80000000);
	EXPECT_EQ(in(0xcf8, 4), 0x80000000);
	EXPECT_EQ(get(0, PCI_CLASS_DEVICE, 2), 0x0600U);
	EXPECT_EQ(get(disk, PCI_VENDOR_ID, 4), 0x10421af4U);
	EXPECT_EQ(get(disk, PCI_CLASS_DEVICE, 2), 0x0180U);
	for (const unsigned other : {1U, 3U, 31U})
		EXPECT_EQ(get(other, PCI_VENDOR_ID, 4), 0xffffffffU) << other;
	out(0xcf8, 4, 0x80000000 | disk << 11 | 1 << 8);
	EXPECT_EQ(in(0xcfc, 4), 0xffffffff) << "one function a device";
	out(0xcf8, 4, 0x80010000 | disk << 11);
	EXPECT_EQ(in(0xcfc, 4), 0xffffffff) << "one bus";
	out(0xcf8, 4, disk << 11);
	EXPECT_EQ(in(0xcfc, 4), 0xffffffff) << "not enabled";
}

TEST_F(vmm_pci, resets_by_the_port_within_its_address_only_if_that_is_meant)
{
	out(0xcf8, 4, 0x80000000 | 6 << 8);
	EXPECT_FALSE(effects.reset);
	out(0xcf9, 1, 6);
	EXPECT_TRUE(effects.reset);
}

TEST_F(vmm_pci, has_a_bar_that_can_be_measured_and_moved)
{
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_DEVICE_CFG), 4), 0x04030201U);
	set(disk, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	EXPECT_EQ(get(disk, PCI_BASE_ADDRESS_0, 4), 0xffffff01U);
	set(disk, PCI_BASE_ADDRESS_0, 4, 0xd000);
	EXPECT_EQ(get(disk, PCI_BASE_ADDRESS_0, 4), 0xd001U);
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_DEVICE_CFG), 4), 0xffffffffU);
	bar = 0xd000;
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_DEVICE_CFG) + 2, 2), 0x0403U);
	set(disk, PCI_COMMAND, 2, 0);
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_DEVICE_CFG), 4), 0xffffffffU);
	set(disk, PCI_VENDOR_ID, 4, 0);
	EXPECT_EQ(get(disk, PCI_VENDOR_ID, 4), 0x10421af4U) << "not to be written";
}

TEST_F(vmm_pci, has_a_window_to_the_bar)
{
	const auto window = capabilities.at(VIRTIO_PCI_CAP_PCI_CFG);

	EXPECT_EQ(get(disk, window + 16, 4), 0U) << "set to nothing";
	set(disk, window + 8, 4, part(VIRTIO_PCI_CAP_DEVICE_CFG) - bar);
	set(disk, window + 12, 4, 2);
	EXPECT_EQ(get(disk, window + 16, 4), 0x0201U);
	set(disk, window + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	set(disk, window + 12, 4, 1);
	set(disk, window + 16, 4, 1);
	EXPECT_EQ(status(), 1);
	set(disk, window + 8, 4, 0xfffffffc);
	EXPECT_EQ(get(disk, window + 16, 4), 0U);
}

TEST_F(vmm_pci, agrees_on_features_that_it_has)
{
	const auto agree = [&](std::uint64_t features) {
		out(common(VIRTIO_PCI_COMMON_STATUS), 1, 0);
		for (unsigned half = 0; half < 2; half++) {
			out(common(VIRTIO_PCI_COMMON_GFSELECT), 4, half);
			out(common(VIRTIO_PCI_COMMON_GF), 4,
			    static_cast<std::uint32_t>(features >> 32 * half));
		}
		out(common(VIRTIO_PCI_COMMON_STATUS), 1, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
		return (status() & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
	};

	out(common(VIRTIO_PCI_COMMON_DFSELECT), 4, 0);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_DF), 4), feature | 1 << 28);
	out(common(VIRTIO_PCI_COMMON_DFSELECT), 4, 1);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_DF), 4), version_1 >> 32);
	out(common(VIRTIO_PCI_COMMON_DFSELECT), 4, 2);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_DF), 4), 0U);
	EXPECT_TRUE(agree(version_1 | feature));
	EXPECT_TRUE(agree(version_1));
	EXPECT_FALSE(agree(feature)) << "not without version 1";
	EXPECT_FALSE(agree(version_1 | 1));
}

TEST_F(vmm_pci, runs_once_it_is_set_up_and_until_it_is_reset)
{
	set_up();
	EXPECT_FALSE(device().runs());
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_NUMQ), 2), 1U);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_SIZE), 2), 64U);
	EXPECT_EQ(device().queue(0).descriptors, 0x100001000U);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_DESCHI), 4), 1U);
	out(common(VIRTIO_PCI_COMMON_Q_SIZE), 2, 128);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_SIZE), 2), 64U) << "it is enabled";
	out(common(VIRTIO_PCI_COMMON_STATUS), 1, status() | VIRTIO_CONFIG_S_DRIVER_OK);
	EXPECT_TRUE(device().runs());
	set(disk, PCI_COMMAND, 2, PCI_COMMAND_IO);
	EXPECT_FALSE(device().runs()) << "it may not use memory";
	set(disk, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	device().need_reset();
	EXPECT_FALSE(device().runs());
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_ISR_CFG), 1), 2U);
	out(common(VIRTIO_PCI_COMMON_STATUS), 1, 0);
	EXPECT_EQ(status(), 0);
	EXPECT_FALSE(device().queue(0).enabled);
}

TEST_F(vmm_pci, has_no_queues_but_its_own)
{
	out(common(VIRTIO_PCI_COMMON_Q_SELECT), 2, 1);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_SIZE), 2), 0U);
	out(common(VIRTIO_PCI_COMMON_Q_ENABLE), 2, 1);
	EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_ENABLE), 2), 0U);
	out(common(VIRTIO_PCI_COMMON_Q_SELECT), 2, 0);
	for (const unsigned size : {0U, 3U, 512U, 65535U}) {
		out(common(VIRTIO_PCI_COMMON_Q_SIZE), 2, size);
		EXPECT_EQ(in(common(VIRTIO_PCI_COMMON_Q_SIZE), 2), Virtqueue::most) << size;
	}
	out(part(VIRTIO_PCI_CAP_NOTIFY_CFG), 2, 1);
	EXPECT_EQ(device().take_notified(), 0U);
	out(part(VIRTIO_PCI_CAP_NOTIFY_CFG), 2, 0);
	EXPECT_EQ(device().take_notified(), 1U);
	EXPECT_EQ(device().take_notified(), 0U);
}

TEST_F(vmm_pci, interrupts_by_a_level_until_the_reason_is_read)
{
	const auto irq = get(disk, PCI_INTERRUPT_LINE, 1);

	ASSERT_LT(irq, 8U);
	for (const auto [port, value] :
	     {std::pair{0x20U, 0x11U}, {0x21U, 0x30U}, {0x21U, 4U}, {0x21U, 1U}, {0x21U, 0U}})
		out(port, 1, value);
	EXPECT_TRUE(in(0x4d0, 1) >> irq & 1);
	device().interrupt();
	board.advance(++now);
	EXPECT_TRUE(board.interrupts());
	EXPECT_TRUE(get(disk, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	set(disk, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	EXPECT_FALSE(board.interrupts());
	set(disk, PCI_COMMAND + 1, 1, 0);
	EXPECT_EQ(board.acknowledge(), 0x30 + irq);
	EXPECT_EQ(in(part(VIRTIO_PCI_CAP_ISR_CFG), 1), 1U);
	out(0x20, 1, 0x20);
	EXPECT_FALSE(board.interrupts());
}

TEST_F(vmm_pci, survives_anything_that_is_written_anywhere)
{
	std::mt19937 random(5);

	for (unsigned round = 0; round < 50000; round++) {
		static constexpr std::array<unsigned, 3> sizes{1, 2, 4};
		const auto size = sizes[random() % 3];
		const auto near = random() % 2 ? 0xcf8 + random() % 8 : bar + random() % 256;
		const auto port = random() % 50 ? near : random() % 65536;

		if (random() % 2)
			out(port, size, random() % 3 ? random() % 512 : random());
		else
			(void)in(port, size);
		if (random() % 4 == 0)
			(void)get(random() % 4, random() % 256, size);
	}
}

} /* namespace */
