/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_handlers.hh - `corbel job`, and what verbs that begin a job have in common. */
#pragma once

#include "dispatcher.hh"

#include "../jobs/engine.hh"

namespace corbel::daemon {

/* @engine outlives @dispatcher. */
void add_job_handlers(Dispatcher &dispatcher, jobs::Engine &engine);

/*
 * A job of @kind with @argument, by the key in @arguments; only its check if these ask for
 * a dry run. @plan says what it does, in a sentence.
 */
[[nodiscard]] Result<Json> begin_job(jobs::Engine &engine, std::string_view kind,
				     const Json &argument, const Json &arguments, std::string plan);

} /* namespace corbel::daemon */
