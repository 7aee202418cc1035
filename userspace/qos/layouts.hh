/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layouts.hh - where disks lie on a LUN, as who follows them asks. */
#pragma once

#include "records.hh"

#include "../extents/layout.hh"

#include <memory>
#include <string>

namespace corbel::workloads {

/* Called from any thread; may wait for storage. */
class Layouts {
public:
	Layouts() = default;
	Layouts(const Layouts &) = delete;
	virtual ~Layouts() = default;

	/* What of the disk of @object, or of the part that is meant, lies on @device now. */
	[[nodiscard]] virtual Result<extents::Layout> find(const ObjectRecord &object,
							   const std::string &device) = 0;
};

[[nodiscard]] extents::Format format_of(const ObjectRecord &object);

/* Of this host. */
[[nodiscard]] std::unique_ptr<Layouts> make_layouts();

} /* namespace corbel::workloads */
