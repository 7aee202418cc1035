/* SPDX-License-Identifier: GPL-2.0-or-later */
/* migrate_report.hh - what a migration did when, as a picture (SVG). */
#pragma once

#include "json.hh"

#include <libcorbel/error.hh>

#include <string>

namespace corbel::cli {

/* @job as `corbel job show` has it. EINVAL: it is no migration, or has not begun. */
[[nodiscard]] Result<std::string> draw_migration(const Json &job);

} /* namespace corbel::cli */
