/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "block/qos/sabotage.hh"

namespace corbel::unit {

/* While it lives, the logic is broken in one place. */
class QosBroken {
public:
	explicit QosBroken(qos::Sabotage what) { qos::sabotage = what; }
	~QosBroken() { qos::sabotage = qos::Sabotage::none; }
	QosBroken(const QosBroken &) = delete;
	QosBroken &operator=(const QosBroken &) = delete;
};

} // namespace corbel::unit
