/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dispatcher.hh - from the words of a verb to the handler that does it.
 *
 * What a verb takes, and who may ask for it, is in the table that the tool has too; here it
 * is held against that table once more, as whoever asks need not be our tool.
 */
#pragma once

#include "../corbel/json.hh"
#include "../corbel/verb.hh"

#include <libcorbel/error.hh>

#include <functional>
#include <map>
#include <string>

namespace corbel::daemon {

using cli::Json;

/* Where the objects of an answer go. */
class Reply {
public:
	Reply() = default;
	Reply(const Reply &) = delete;
	virtual ~Reply() = default;

	/* False: nobody reads any more. May block while the reader is slow. */
	[[nodiscard]] virtual bool send(const Json &object) = 0;
	/* It has gone, or the daemon ends: answers that never end should now. */
	[[nodiscard]] virtual bool gone() = 0;
};

enum class Rights { read, change };

/* @arguments fit the table. Called from any thread, several at once. */
using Handler = std::function<Result<void>(const Json &arguments, Reply &reply)>;
/* For the many that answer with one object. */
using ObjectHandler = std::function<Result<Json>(const Json &arguments)>;

using Looks = std::function<bool(const Json &arguments)>;

class Dispatcher {
public:
	/* All of them before the first call. */
	void add(const cli::Verb &verb, Handler handler);
	void add_object(const cli::Verb &verb, ObjectHandler handler);
	/* Of a verb that changes something: with arguments for which @looks is true it does not. */
	void let_look(const cli::Verb &verb, Looks looks);

	/* ENOSYS, naming it: a verb of the table that is the daemon's has no handler. */
	[[nodiscard]] Result<void> check_complete() const;

	/*
	 * ENOENT: there is no such verb. EPERM: it takes more than @rights. EINVAL: the
	 * arguments, JSON text, do not fit. Else what the handler says.
	 */
	[[nodiscard]] Result<void> call(const std::string &words, const std::string &arguments,
					Rights rights, Reply &reply) const;

private:
	std::map<std::string, Handler, std::less<>> handlers_;
	std::map<std::string, Looks, std::less<>> looks_;
};

/*
 * @answer, whose array @key may be long: each message has a limit (gRPC's, 4 MiB). Who asks puts
 * them together again (cli::add_piece).
 */
void send_in_pieces(Json answer, const std::string &key, Reply &reply);

} /* namespace corbel::daemon */
