// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtio_pci.hh"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace corbel::vmm {

namespace {

constexpr std::uint16_t vendor = 0x1af4, first_device = 0x1040;
constexpr std::uint64_t common_features =
	std::uint64_t{1} << VIRTIO_F_VERSION_1 | std::uint64_t{1} << 28; /* indirect descriptors */

/* What is where in the BAR. All queues are notified at one place, by their number. */
constexpr unsigned common_at = 0, isr_at = 0x40, notify_at = 0x48, config_at = 0x80;

constexpr std::uint8_t of_queue = 1, of_config = 2; /* of the interrupt's reasons */

/* In the window, which is a way to the BAR through configuration space. */
constexpr unsigned window_data = sizeof(virtio_pci_cap);

template <typename Capability>
unsigned add(PciFunction &function, const Capability &capability)
{
	std::array<std::uint8_t, sizeof(Capability)> bytes;

	std::memcpy(bytes.data(), &capability, sizeof(Capability));
	return function.add_capability(PCI_CAP_ID_VNDR, std::span(bytes).subspan(2));
}

constexpr virtio_pci_cap part(std::uint8_t type, std::uint32_t at, std::uint32_t bytes,
			      std::uint8_t size = sizeof(virtio_pci_cap))
{
	virtio_pci_cap capability{};

	capability.cap_len = size;
	capability.cfg_type = type;
	capability.offset = at;
	capability.length = bytes;
	return capability;
}

/* Half of a register of 64 bits, by the driver's index or place. */
constexpr std::uint32_t half(std::uint64_t value, std::uint32_t which)
{
	return which < 2 ? static_cast<std::uint32_t>(value >> 32 * which) : 0;
}

void set_half(std::uint64_t &value, std::uint32_t which, std::uint32_t bits)
{
	const auto shift = 32 * which;

	value = (value & ~(std::uint64_t{0xffffffff} << shift)) | std::uint64_t{bits} << shift;
}

/* The width that a register of the common part is read and written with. */
constexpr unsigned width_of(unsigned at)
{
	if (at < VIRTIO_PCI_COMMON_MSIX || at >= VIRTIO_PCI_COMMON_Q_DESCLO)
		return 4;
	return at == VIRTIO_PCI_COMMON_STATUS || at == VIRTIO_PCI_COMMON_CFGGENERATION ? 1 : 2;
}

} /* namespace */

VirtioPci::VirtioPci(const Model &model, std::uint16_t first_port, std::uint8_t irq)
	: function_({vendor, static_cast<std::uint16_t>(first_device + model.type),
		     static_cast<std::uint16_t>(0x40 + model.type), model.class_code, 1}),
	  features_(model.features | common_features),
	  nr_queues_(model.queues)
{
	virtio_pci_notify_cap notify{};

	std::ranges::copy(model.config, config_.begin());
	notify.cap = part(VIRTIO_PCI_CAP_NOTIFY_CFG, notify_at, 4, sizeof(notify));
	function_.give_ports(first_port, irq);
	add(function_, part(VIRTIO_PCI_CAP_COMMON_CFG, common_at, sizeof(virtio_pci_common_cfg)));
	add(function_, part(VIRTIO_PCI_CAP_ISR_CFG, isr_at, 4));
	add(function_, notify);
	if (!model.config.empty())
		add(function_, part(VIRTIO_PCI_CAP_DEVICE_CFG, config_at,
				    static_cast<std::uint32_t>(model.config.size())));
	virtio_pci_cfg_cap window{};

	window.cap = part(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(window));
	window_ = static_cast<std::uint16_t>(add(function_, window));
	function_.allow(window_ + offsetof(virtio_pci_cap, bar), 1);
	function_.allow(window_ + offsetof(virtio_pci_cap, offset), 8);
}

/* ---- configuration space ----------------------------------------------------------- */

/* Where the window is set to, in the BAR that there is. @size: 0, if to nothing. */
std::uint32_t VirtioPci::through_window(unsigned &size) const
{
	const auto at = function_.word(window_ + offsetof(virtio_pci_cap, offset));
	const auto bytes = function_.word(window_ + offsetof(virtio_pci_cap, length));
	const bool sound = function_.read(window_ + offsetof(virtio_pci_cap, bar)) == 0 &&
			   at < PciFunction::port_count && (bytes == 1 || bytes == 2 || bytes == 4);

	size = sound ? bytes : 0;
	return at;
}

std::uint32_t VirtioPci::configuration(unsigned at, unsigned size)
{
	std::uint32_t value = 0;

	if (window_ && at == window_ + window_data) {
		const auto place = through_window(size);

		return size ? in(place, size) : 0;
	}
	function_.show_interrupt(interrupts_ != 0);
	for (unsigned i = 0; i < size; i++)
		value |= std::uint32_t{function_.read(at + i)} << 8 * i;
	return value;
}

void VirtioPci::configure(unsigned at, unsigned size, std::uint32_t value)
{
	if (window_ && at == window_ + window_data) {
		const auto place = through_window(size);

		if (size)
			out(place, size, value);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		function_.write(at + i, static_cast<std::uint8_t>(value >> 8 * i));
}

/* ---- the BAR ----------------------------------------------------------------------- */

std::uint32_t VirtioPci::in(unsigned at, unsigned size)
{
	std::uint32_t value = 0;

	if (at < sizeof(virtio_pci_common_cfg))
		return size == width_of(at) ? common(at) : 0;
	if (at == isr_at)
		return std::exchange(interrupts_, 0);
	for (unsigned i = 0; i < size && at >= config_at && at + i < config_at + config_.size();
	     i++)
		value |= std::uint32_t{config_[at + i - config_at]} << 8 * i;
	return value;
}

void VirtioPci::out(unsigned at, unsigned size, std::uint32_t value)
{
	if (at < sizeof(virtio_pci_common_cfg) && size == width_of(at))
		set_common(at, value);
	else if (at == notify_at && value < nr_queues_)
		notified_ |= 1U << value;
}

std::uint32_t VirtioPci::common(unsigned at) const
{
	/* One that is not there has no size. */
	const auto queue = queue_select_ < nr_queues_ ? queues_[queue_select_] : Virtqueue(0);

	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return device_select_;
	case VIRTIO_PCI_COMMON_DF:
		return half(features_, device_select_);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return driver_select_;
	case VIRTIO_PCI_COMMON_GF:
		return half(driver_features_, driver_select_);
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return VIRTIO_MSI_NO_VECTOR;
	case VIRTIO_PCI_COMMON_NUMQ:
		return nr_queues_;
	case VIRTIO_PCI_COMMON_STATUS:
		return status_;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return queue_select_;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return queue.size;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return queue.enabled;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half(queue.descriptors, at / 4 % 2);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half(queue.driver, at / 4 % 2);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half(queue.device, at / 4 % 2);
	default: /* the configuration never changes; queues are notified at offset 0 */
		return 0;
	}
}

void VirtioPci::set_common(unsigned at, std::uint32_t value)
{
	auto *const queue = selected();

	switch (at) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		device_select_ = value;
		return;
	case VIRTIO_PCI_COMMON_GFSELECT:
		driver_select_ = value;
		return;
	case VIRTIO_PCI_COMMON_GF:
		if (driver_select_ < 2 && !(status_ & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(driver_features_, driver_select_, value);
		return;
	case VIRTIO_PCI_COMMON_STATUS:
		set_status(static_cast<std::uint8_t>(value));
		return;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		queue_select_ = static_cast<std::uint16_t>(value);
		return;
	default:
		break;
	}
	if (!queue)
		return;
	switch (at) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (std::has_single_bit(value) && value <= Virtqueue::most)
			queue->size = static_cast<std::uint16_t>(value);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		queue->enabled = value == 1;
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		set_half(queue->descriptors, at / 4 % 2, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		set_half(queue->driver, at / 4 % 2, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		set_half(queue->device, at / 4 % 2, value);
		break;
	default:
		break;
	}
}

Virtqueue *VirtioPci::selected()
{
	if (queue_select_ >= nr_queues_ || queues_[queue_select_].enabled)
		return nullptr;
	return &queues_[queue_select_];
}

/* Writing 0 resets the device; no bit is taken back otherwise. */
void VirtioPci::set_status(std::uint8_t value)
{
	if (value == 0) {
		queues_.fill(Virtqueue());
		driver_features_ = 0;
		device_select_ = driver_select_ = 0;
		queue_select_ = 0;
		status_ = interrupts_ = notified_ = 0;
		return;
	}
	const bool wanted = value & ~status_ & VIRTIO_CONFIG_S_FEATURES_OK;
	const bool agreed =
		(driver_features_ & ~features_) == 0 && driver_features_ >> VIRTIO_F_VERSION_1 & 1;

	if (wanted && !agreed)
		value = static_cast<std::uint8_t>(value & ~VIRTIO_CONFIG_S_FEATURES_OK);
	status_ |= value & ~VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* ---- for who serves it ------------------------------------------------------------- */

bool VirtioPci::runs() const
{
	return status_ & VIRTIO_CONFIG_S_DRIVER_OK && status_ & VIRTIO_CONFIG_S_FEATURES_OK &&
	       !(status_ & VIRTIO_CONFIG_S_NEEDS_RESET) && function_.may_use_memory();
}

std::uint64_t VirtioPci::take_notified()
{
	return std::exchange(notified_, 0);
}

void VirtioPci::interrupt()
{
	interrupts_ |= of_queue;
}

void VirtioPci::need_reset()
{
	status_ |= VIRTIO_CONFIG_S_NEEDS_RESET;
	interrupts_ |= of_config;
}

} /* namespace corbel::vmm */
