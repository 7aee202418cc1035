/* SPDX-License-Identifier: GPL-2.0 */
/* words.hh - the words of a message to a target: which one it is, and its numbers. */
#pragma once

#include "reply.hh"

namespace corbel::block {

[[nodiscard]] inline rt::Text text_of(const char *text)
{
	std::size_t length = 0;

	while (text[length])
		length++;
	return {text, length};
}

/* A decimal number and nothing else; invalid. */
[[nodiscard]] inline Result<u64> number_of(rt::Text text)
{
	u64 number = 0;

	if (text.empty())
		return Error::invalid;
	for (char c : text) {
		if (c < '0' || c > '9' || __builtin_mul_overflow(number, u64{10}, &number) ||
		    __builtin_add_overflow(number, static_cast<u64>(c - '0'), &number))
			return Error::invalid;
	}
	return number;
}

template <typename Command>
void tell_usage(const Command &command, rt::Text who, Reply &reply)
{
	reply << who << ": expected: " << command.name << " " << command.usage;
}

/*
 * Which of @commands, that have a name, a usage, and the least and most of their arguments, the
 * message is; nullptr if none or with so many, and then @reply, of the target @who, says what
 * there is.
 */
template <typename Command, std::size_t count>
[[nodiscard]] const Command *find_command(const Command (&commands)[count], rt::Text who,
					  unsigned argc, char **argv, Reply &reply)
{
	const rt::Text name = argc ? text_of(argv[0]) : rt::Text("");
	char kept[24]; /* device-mapper's reply lies where its message does */
	const std::size_t length = name.size() < sizeof(kept) ? name.size() : sizeof(kept);

	__builtin_memcpy(kept, name.data(), length);
	for (const Command &command : commands) {
		if (!(command.name == name))
			continue;
		if (argc - 1 >= command.least && argc - 1 <= command.most)
			return &command;
		tell_usage(command, who, reply);
		return nullptr;
	}
	reply << who << ": there is no message '" << rt::Text(kept, length) << "'; there are:";
	for (const Command &command : commands)
		reply << " " << command.name;
	return nullptr;
}

} /* namespace corbel::block */
