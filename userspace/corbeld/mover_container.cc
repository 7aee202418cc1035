// SPDX-License-Identifier: GPL-2.0-or-later
/* What a mover does with a container, where it is not as with a VM. */
#include "mover.hh"

#include "../containers/wish.hh"

#include <cerrno>

namespace corbel::daemon {

using namespace migrate;
using jobs::Work;

/* Its pages are in the folder of the move, whoever of this host's daemons or objects is gone. */
void Mover::look_at_container(SourcePhase phase, SourceSeen &seen)
{
	const bool dumped = container_->is_dumped();

	if (container_->is_alive())
		seen.guest = container_->is_frozen() ? GuestThere::stopped : GuestThere::running;
	seen.sealed = dumped;
	seen.memory = dumped || phase <= SourcePhase::seal;
	memory_there_ = seen.memory;
	if (phase == SourcePhase::finish)
		seen.memory = dumped || container_->group().exists();
}

Result<void> Mover::act_on_container(Work &work, SourceAct act)
{
	switch (act) {
	case SourceAct::warm:
		memory_ = CORBEL_EXPECT(container_->make_memory());
		CORBEL_EXPECT(serve(work, Sends::rounds));
		warm_ = true;
		return {};
	case SourceAct::stop:
		work.data()["stopped_ms"] = now_ms();
		return container_->group().freeze(true);
	case SourceAct::seal:
		return seal_container(work);
	case SourceAct::unseal:
		pager_.reset();
		memory_.reset();
		container_->forget();
		return {};
	case SourceAct::go:
		CORBEL_EXPECT(container_->group().freeze(false));
		work.data()["back_ms"] = now_ms();
		note(work, "back", "the container runs here again");
		return {};
	case SourceAct::discard:
		pager_.reset();
		memory_.reset();
		memory_there_ = false;
		return container_->end();
	case SourceAct::tell:
	case SourceAct::write:
	case SourceAct::wait:
		break;
	}
	return {};
}

Result<void> Mover::seal_container(Work &work)
{
	if (!memory_)
		memory_ = CORBEL_EXPECT(container_->make_memory());
	if (!container_->is_dumped()) {
		CORBEL_EXPECT(container_->dump());
		note(work, "seal", "CRIU has taken it apart");
	}
	CORBEL_EXPECT(container_->fill(*memory_));
	note(work, "seal", "its pages can be served");
	return {};
}

Result<std::string> Mover::wish_for_container(Work &work)
{
	auto wish = CORBEL_EXPECT(containers::wish_here(
		container_->group(), work.data().at("bytes").get<std::uint64_t>(),
		{.spill = work.argument().value("spill", false)}));

	wish.plain = plain_;
	wish.source = CORBEL_EXPECT(hosts_.identity())->name();
	return json_of(wish).dump();
}

Result<std::string> Mover::state_of_container() const
{
	v1::ContainerImages message;

	for (auto &image : CORBEL_EXPECT(container_->images())) {
		auto *added = message.add_images();

		added->set_name(image.name);
		added->set_data(std::move(image.data));
	}
	return message.SerializeAsString();
}

} /* namespace corbel::daemon */
