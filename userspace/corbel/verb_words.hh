/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verb_words.hh - verbs as arguments of verbs. */
#pragma once

#include "verb.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::cli {

/* The verb that @words call; not null. */
[[nodiscard]] inline Result<const Verb *> verb_of(std::span<const std::string> words)
{
	if (const Verb *verb = find_verb(words))
		return verb;
	return failure(ENOENT, fmt::format("There is no verb '{}': `corbel --help` shows those "
					   "there are.",
					   fmt::join(words, " ")));
}

} /* namespace corbel::cli */
