// SPDX-License-Identifier: GPL-2.0-or-later
#include "layouts.hh"

namespace corbel::workloads {

namespace {

class HostLayouts final : public Layouts {
public:
	Result<extents::Layout> find(const ObjectRecord &object, const std::string &device) override
	{
		auto layout = CORBEL_EXPECT(
			extents::find_layout(object.path, device, true, format_of(object)));

		/* Where it is may have changed: the table is read each time. */
		if (object.partition) {
			const auto [first, bytes] = CORBEL_EXPECT(extents::find_partition(
				object.path, layout.kind, static_cast<unsigned>(object.partition)));
			return extents::cut(layout, first, bytes);
		}
		if (object.part)
			return extents::cut(layout, object.part->first, object.part->second);
		return layout;
	}
};

} /* namespace */

extents::Format format_of(const ObjectRecord &object)
{
	using extents::Format;

	return object.format == "raw"	  ? Format::raw
	       : object.format == "qcow2" ? Format::qcow2
					  : Format::probe;
}

std::unique_ptr<Layouts> make_layouts()
{
	return std::make_unique<HostLayouts>();
}

} /* namespace corbel::workloads */
