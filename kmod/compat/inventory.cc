// SPDX-License-Identifier: GPL-2.0
/*
 * inventory.cc - looks every entry up at load and installs it on demand.
 */
#include "inventory.hh"

#include "../rt/atomic.hh"
#include "../rt/lock.hh"
#include "../rt/memory.hh"
#include "../rt/text.hh"
#include "btf.hh"
#include "hook.h"
#include "kvm.h"

namespace corbel::compat {
namespace {

using rt::Order;

/* What an entry is, fixed when the module is built. */
struct Definition {
	u32 kind;
	u32 slot; /* of the direct calls, or number of the tracepoint */
	Text name; /* as shown */
	Text symbol; /* "module:function", with a NUL behind it; or the struct */
	Text shape; /* prototype, or member */
	Text degrades;
};

constexpr Text no_recording = "vCPUs cannot be recorded or replayed";

constexpr Definition definitions[CORBEL_HOOK_COUNT] = {
	[CORBEL_HOOK_ACCEPT] = {CORBEL_HOOK_DIRECT, 0, "__apic_accept_irq", "kvm:__apic_accept_irq",
				"int (struct kvm_lapic *, int, int, int, int, struct dest_map *)",
				"pending records are sampled, not exact; nothing is counted"},
	[CORBEL_HOOK_LAPIC_STATE] = {CORBEL_HOOK_DIRECT, 1, "kvm_apic_set_state",
				     "kvm:kvm_apic_set_state",
				     "int (struct kvm_vcpu *, struct kvm_lapic_state *)",
				     "after KVM_SET_LAPIC records are wrong until they are read"},
	[CORBEL_HOOK_LAPIC_RESET] = {CORBEL_HOOK_DIRECT, 2, "kvm_lapic_reset",
				     "kvm:kvm_lapic_reset", "void (struct kvm_vcpu *, bool)",
				     "after an APIC reset records are wrong until they are read"},
	[CORBEL_HOOK_VCPU_CREATED] =
		{CORBEL_HOOK_DIRECT, 3, "kvm_arch_vcpu_postcreate", "kvm:kvm_arch_vcpu_postcreate",
		 "void (struct kvm_vcpu *)",
		 "vCPUs made after attaching are seen when the VM is asked about"},
	[CORBEL_HOOK_VM_CLOSED] = {CORBEL_HOOK_DIRECT, 4, "kvm_vm_release", "kvm:kvm_vm_release",
				   "int (struct inode *, struct file *)",
				   "a VM closed by a living process is kept until detached"},
	[CORBEL_HOOK_INJECT] = {CORBEL_HOOK_TRACEPOINT, CORBEL_TRACEPOINT_KVM_INJ_VIRQ,
				"kvm_inj_virq", "kvm_inj_virq",
				"void (void *, unsigned int, bool, bool)",
				"pending records are sampled, not exact; nothing is counted"},
	[CORBEL_HOOK_ENTRY] = {CORBEL_HOOK_TRACEPOINT, CORBEL_TRACEPOINT_KVM_ENTRY, "kvm_entry",
			       "kvm_entry", "void (void *, struct kvm_vcpu *, bool)",
			       "records cannot be checked at VM entries, vCPUs not be recorded"},
	[CORBEL_HOOK_OFF_LAPIC_VCPU] = {CORBEL_HOOK_OFFSET, 0, "kvm_lapic.vcpu", "kvm_lapic",
					"vcpu", "interrupts cannot be observed"},
	[CORBEL_HOOK_OFF_LAPIC_REGS] = {CORBEL_HOOK_OFFSET, 0, "kvm_lapic.regs", "kvm_lapic",
					"regs", "interrupts cannot be observed"},
	[CORBEL_HOOK_OFF_LAPIC_APICV] = {CORBEL_HOOK_OFFSET, 0, "kvm_lapic.apicv_active",
					 "kvm_lapic", "apicv_active",
					 "interrupts cannot be observed"},
	[CORBEL_HOOK_LOCAL_DELIVER] = {CORBEL_HOOK_SYMBOL, 0, "kvm_apic_local_deliver",
				       "kvm:kvm_apic_local_deliver",
				       "int (struct kvm_lapic *, int)",
				       "timer and LVT interrupts count as device interrupts"},
	[CORBEL_HOOK_OWNER_EXIT] = {CORBEL_HOOK_NOTIFIER, 0, "mmu_notifier", "", "",
				    "none: exported, always there"},
	[CORBEL_HOOK_CHOOSE] = {CORBEL_HOOK_DIRECT, 5, "kvm_irq_delivery_to_apic_fast",
				"kvm:kvm_irq_delivery_to_apic_fast",
				"bool (struct kvm *, struct kvm_lapic *, struct kvm_lapic_irq *, "
				"int *, struct dest_map *)",
				"interrupts that several vCPUs may take go where KVM sends them"},
	[CORBEL_HOOK_VCPU_LOAD] = {CORBEL_HOOK_DIRECT, 6, "kvm_arch_vcpu_load",
				   "kvm:kvm_arch_vcpu_load", "void (struct kvm_vcpu *, int)",
				   "there are no distributor devices"},
	[CORBEL_HOOK_GUEST_EXIT] = {CORBEL_HOOK_DIRECT, 7, "svm_handle_exit",
				    "kvm_amd:svm_handle_exit",
				    "int (struct kvm_vcpu *, fastpath_t)", no_recording},
	[CORBEL_HOOK_OFF_EXIT_STATE] = {CORBEL_HOOK_OFFSET, 0, "vcpu_svm.vmcb01", "vcpu_svm",
					"vmcb01.ptr", no_recording},
};

/* What the last two are where the CPU has VMX. */
constexpr u32 first_of_vendor = CORBEL_HOOK_GUEST_EXIT;
constexpr Definition vmx_definitions[] = {
	{CORBEL_HOOK_DIRECT, 7, "vmx_handle_exit", "kvm_intel:vmx_handle_exit",
	 "int (struct kvm_vcpu *, fastpath_t)", no_recording},
	{CORBEL_HOOK_OFFSET, 0, "vcpu_vmx.exit_reason", "vcpu_vmx", "exit_reason", no_recording},
};
static_assert(first_of_vendor + sizeof(vmx_definitions) / sizeof(Definition) == CORBEL_HOOK_COUNT);

bool has_vmx()
{
	return corbel_kvm_vendor() == CORBEL_VENDOR_INTEL;
}

const Definition &definition(u32 i)
{
	if (i >= first_of_vendor && has_vmx())
		return vmx_definitions[i - first_of_vendor];
	return definitions[i];
}

/* A tracepoint can have more than one. */
constexpr u32 max_handlers = 2;

struct State {
	struct {
		void *handler;
		u32 users;
	} by[max_handlers];
	s32 error; /* of the last installation that failed */

	[[nodiscard]] u32 users() const
	{
		u32 sum = 0;

		for (const auto &it : by)
			sum += it.users;
		return sum;
	}
};

/* Read without a lock by anybody. Written at load, the vendor module's also while nobody has it. */
struct Found {
	bool usable;
	bool switched_off;
	u64 value;
	u64 length;
};
constinit Found found[CORBEL_HOOK_COUNT]{};
constinit bool btf_read = false;
constinit rt::Atomic<s32> owner_watches{};
/* The vendor module has come or gone since it was last looked at. */
constinit rt::Atomic<bool> vendor_changed{true};

struct States {
	State of[CORBEL_HOOK_COUNT];
};
constinit rt::Guarded<States> states{};

/* A buffer of corbel_btf_read(), freed with the scope. */
class BtfFile {
public:
	explicit BtfFile(const char *path)
	{
		if (corbel_btf_read(path, &data_, &bytes_) < 0)
			data_ = nullptr;
	}
	~BtfFile() { corbel_free_pages(data_); }
	BtfFile(const BtfFile &) = delete;
	BtfFile &operator=(const BtfFile &) = delete;

	[[nodiscard]] bool ok() const { return data_; }
	[[nodiscard]] Blob blob() const { return {static_cast<const std::byte *>(data_), bytes_}; }

private:
	void *data_{};
	size_t bytes_{};
};

bool has_shape(const Btf &btf, const Result<BtfTypeId> &proto, Text shape)
{
	if (!proto)
		return false;
	const Result<bool> same = btf.prints_as(proto.value(), shape);

	return same && same.value();
}

void resolve(u32 i, const Btf &btf)
{
	const Definition &is = definition(i);
	Found &out = found[i];
	corbel_symbol symbol{};

	switch (is.kind) {
	case CORBEL_HOOK_OFFSET:
		if (const Result<u32> offset = btf.member_offset(is.symbol, is.shape)) {
			out.value = offset.value();
			out.usable = true;
		}
		return;
	case CORBEL_HOOK_TRACEPOINT:
		out.usable = has_shape(btf, btf.tracepoint_proto(is.symbol), is.shape);
		return;
	default:
		if (!has_shape(btf, btf.function_proto(is.name), is.shape))
			return;
		/* The literal's NUL stands right behind the view. */
		if (corbel_symbol_find(is.symbol.data(), &symbol) < 0)
			return;
		out.value = symbol.address;
		out.length = symbol.bytes;
		out.usable = true;
	}
}

/* Entries from @first to before @end, which are of one module. */
Result<void> resolve_from(const char *module_btf, u32 first, u32 end)
{
	const BtfFile split(module_btf);

	if (!split.ok())
		return Error::no_data;
	const BtfFile base("/sys/kernel/btf/vmlinux");

	if (!base.ok())
		return Error::no_data;
	const u32 count = CORBEL_TRY(Btf::count_types(base.blob(), split.blob()));
	rt::Pages index = CORBEL_TRY(rt::Pages::make(count * sizeof(u32), rt::Pages::Use::kernel));
	const Btf btf = CORBEL_TRY(Btf::open(base.blob(), split.blob(), {index.as<u32>(), count}));

	for (u32 i = first; i < end; i++) {
		if (definition(i).kind != CORBEL_HOOK_NOTIFIER && !found[i].switched_off)
			resolve(i, btf);
	}
	return {};
}

Result<u32> index_of(Text name)
{
	for (u32 i = 0; i < CORBEL_HOOK_COUNT; i++) {
		if (definition(i).name == name)
			return i;
	}
	return Error::invalid;
}

Result<void> switch_off(Text names)
{
	while (!names.empty()) {
		const size_t end = names.find(',');
		const Text name = names.first(end);

		names = names.after(end + 1);
		if (name.empty())
			continue;
		found[CORBEL_TRY(index_of(name))].switched_off = true;
	}
	return {};
}

size_t length_of(const char *text)
{
	size_t length = 0;

	while (text && text[length])
		length++;
	return length;
}

/* Appends to a fixed buffer and always leaves room for the NUL. */
class Line {
public:
	Line(char *to, size_t room) : to_(to), room_(room) {}
	Line &operator<<(Text text)
	{
		for (const char c : text) {
			if (used_ + 1 < room_)
				to_[used_++] = c;
		}
		return *this;
	}

private:
	char *to_;
	size_t room_;
	size_t used_{};
};

void warn_missing(const Definition &is)
{
	char text[CORBEL_DETAIL_LEN]{};

	Line(text, sizeof(text)) << "hook " << is.name << " is not used: " << is.degrades;
	corbel_log_warn(text);
}

int install(const Definition &is, u64 address, void *handler)
{
	if (is.kind == CORBEL_HOOK_TRACEPOINT)
		return corbel_tracepoint_install(is.slot, handler);
	return corbel_direct_install(is.slot, address, handler);
}

void remove(const Definition &is, void *handler)
{
	if (is.kind == CORBEL_HOOK_TRACEPOINT)
		corbel_tracepoint_remove(is.slot, handler);
	else
		corbel_direct_remove(is.slot, handler);
}

bool can_install(u32 hook)
{
	return hook < CORBEL_HOOK_COUNT && found[hook].usable &&
	       (definition(hook).kind == CORBEL_HOOK_DIRECT ||
		definition(hook).kind == CORBEL_HOOK_TRACEPOINT);
}

/* Where @handler is counted, or could be. */
auto *place_of(const Definition &is, State &state, void *handler)
{
	decltype(&state.by[0]) free = nullptr;

	for (auto &it : state.by) {
		if (it.users && it.handler == handler)
			return &it;
		if (!it.users && !free)
			free = &it;
	}
	/* There is one direct call per function. */
	return is.kind == CORBEL_HOOK_TRACEPOINT || !state.users() ? free : nullptr;
}

/* Holding the lock of the states: two do not look at a time. */
void follow_vendor()
{
	if (!vendor_changed.exchange(false, Order::acq_rel))
		return;
	for (u32 i = first_of_vendor; i < CORBEL_HOOK_COUNT; i++)
		found[i].usable = false;
	const Result<void> looked =
		resolve_from(has_vmx() ? "/sys/kernel/btf/kvm_intel" : "/sys/kernel/btf/kvm_amd",
			     first_of_vendor, CORBEL_HOOK_COUNT);

	if (!looked) {
		/* It is not loaded, most often. */
		vendor_changed.store(true, Order::release);
		return;
	}
	for (u32 i = first_of_vendor; i < CORBEL_HOOK_COUNT; i++) {
		if (!found[i].usable)
			warn_missing(definition(i));
	}
}

} /* namespace */
} /* namespace corbel::compat */

using namespace corbel;
using namespace corbel::compat;

bool corbel_hook_usable(enum corbel_hook hook)
{
	return hook < CORBEL_HOOK_COUNT && found[hook].usable;
}

u64 corbel_hook_value(enum corbel_hook hook)
{
	return corbel_hook_usable(hook) ? found[hook].value : 0;
}

u64 corbel_hook_length(enum corbel_hook hook)
{
	return corbel_hook_usable(hook) ? found[hook].length : 0;
}

int corbel_hook_install(enum corbel_hook hook, void *handler)
{
	if (!can_install(hook))
		return rt::to_errno(rt::Error::not_found);
	auto all = states.lock();
	State &state = all->of[hook];
	auto *place = place_of(definition(hook), state, handler);

	if (!place)
		return rt::to_errno(rt::Error::busy);
	if (!place->users) {
		const int error = install(definition(hook), found[hook].value, handler);

		state.error = error;
		if (error)
			return error;
		place->handler = handler;
	}
	place->users++;
	return 0;
}

void corbel_hook_remove(enum corbel_hook hook, void *handler)
{
	if (!can_install(hook))
		return;
	auto all = states.lock();
	auto *place = place_of(definition(hook), all->of[hook], handler);

	if (!place || !place->users)
		return;
	if (--place->users == 0)
		remove(definition(hook), handler);
}

int corbel_inventory_init(const char *without)
{
	if (!switch_off({without, length_of(without)})) {
		corbel_log_warn("the parameter 'without' names a hook that there is not; "
				"'corbel doctor' lists their names");
		return rt::to_errno(Error::invalid);
	}
	if (const auto made = states.init(rt::Role::hooks); !made)
		return made.to_errno();
	const auto resolved = resolve_from("/sys/kernel/btf/kvm", 0, first_of_vendor);

	if (!resolved && resolved.error() == Error::no_memory)
		return resolved.to_errno();
	if (!resolved)
		corbel_log_warn(
			"the kernel's type information (/sys/kernel/btf/vmlinux and .../kvm) "
			"cannot be read: no hook is used, nothing can be observed");
	btf_read = resolved.ok();
	for (u32 i = 0; resolved && i < first_of_vendor; i++) {
		if (!found[i].usable && definition(i).kind != CORBEL_HOOK_NOTIFIER)
			warn_missing(definition(i));
	}
	found[CORBEL_HOOK_OWNER_EXIT].usable = true;
	if (const int error = corbel_vendor_watch(has_vmx() ? "kvm_intel" : "kvm_amd", [] {
		    vendor_changed.store(true, Order::release);
	    })) {
		states.destroy();
		return error;
	}
	corbel_hooks_follow_vendor();
	return 0;
}

void corbel_hooks_follow_vendor(void)
{
	auto all = states.lock();

	follow_vendor();
}

void corbel_inventory_exit(void)
{
	corbel_vendor_unwatch();
	states.destroy();
}

bool corbel_inventory_has_btf(void)
{
	return btf_read;
}

void corbel_inventory_count_owner_exit(s32 change)
{
	owner_watches.fetch_add(change, Order::relaxed);
}

int corbel_inventory_describe(u32 index, struct corbel_hook_info *info)
{
	if (index >= CORBEL_HOOK_COUNT)
		return rt::to_errno(rt::Error::not_found);
	const Definition &is = definition(index);
	const Found &at = found[index];
	State state;

	{
		auto all = states.lock();

		if (index >= first_of_vendor)
			follow_vendor();
		state = all->of[index];
	}
	info->kind = is.kind;
	info->users = index == CORBEL_HOOK_OWNER_EXIT
			      ? static_cast<u32>(owner_watches.load(Order::relaxed))
			      : state.users();
	info->value = is.kind == CORBEL_HOOK_OFFSET ? at.value : at.length;
	if (is.kind == CORBEL_HOOK_DIRECT)
		info->value = 0;
	Line(info->name, sizeof(info->name)) << is.name;
	Line detail(info->detail, sizeof(info->detail));

	if (!at.usable) {
		info->state = CORBEL_HOOK_MISSING;
		if (at.switched_off)
			detail << "switched off by the parameter 'without': ";
		else if (index >= first_of_vendor && vendor_changed.load(Order::relaxed))
			detail << "KVM's module for this CPU is not loaded, or has no BTF: ";
		else
			detail << (btf_read ? Text("not found as '") : Text("no BTF to verify '"))
			       << is.shape << "': ";
		detail << is.degrades;
	} else if (state.error) {
		info->state = CORBEL_HOOK_FAILED;
		detail << (state.error == rt::to_errno(rt::Error::busy)
				   ? Text("another program has a direct call there: ")
				   : Text("ftrace refused it: "))
		       << is.degrades;
	} else {
		info->state = info->users || is.kind == CORBEL_HOOK_OFFSET ||
					      is.kind == CORBEL_HOOK_SYMBOL
				      ? CORBEL_HOOK_ACTIVE
				      : CORBEL_HOOK_READY;
		detail << (is.shape.empty() ? Text("exported by the kernel") : Text("verified: "))
		       << is.shape;
	}
	return 0;
}
