// SPDX-License-Identifier: GPL-2.0
/*
 * btf_print.cc - writes a BTF type as C would.
 *
 * A C type is written around the place where a name would stand. For each link of
 * the chain there is a part to the left of it and one to the right:
 *
 *	pointer to X	left(X) "*"		right(X), in ( ) if X is array or function
 *	array of X	left(X)			"[n]" right(X)
 *	function to X	left(X) " "		"(" parameters ")" right(X)
 *
 * Each part is one pass down the chain. The recursion ends at max_depth or, as
 * each function writes at least a parenthesis and each parameter a letter, when
 * the buffer is full: a hostile blob costs neither stack nor time.
 */
#include "btf.hh"

namespace corbel::compat {

class BtfPrinter {
public:
	BtfPrinter(const Btf &btf, std::span<char> out) : btf_(btf), out_(out) {}

	Result<void> print(BtfTypeId id, unsigned depth)
	{
		CORBEL_TRY(left(id, depth));
		return right(id, depth);
	}

	Text text() const { return {out_.data(), used_}; }

private:
	static constexpr unsigned max_depth = 20;

	Result<void> put(Text text)
	{
		if (text.size() > out_.size() - used_)
			return Error::no_space;
		for (char c : text)
			out_[used_++] = c;
		return {};
	}

	/* Between a type and what follows, but not after "*", "(" or another. */
	Result<void> put_space()
	{
		const char last = used_ > 0 ? out_[used_ - 1] : '(';

		if (last == '*' || last == '(' || last == ' ')
			return {};
		return put(" ");
	}

	Result<void> put_number(std::uint32_t number)
	{
		char digits[10];
		std::size_t at = sizeof(digits);

		do {
			digits[--at] = static_cast<char>('0' + number % 10);
			number /= 10;
		} while (number != 0);
		return put(Text(digits + at, sizeof(digits) - at));
	}

	Result<void> put_tagged(Text tag, const Btf::Type &type)
	{
		const auto name = CORBEL_TRY(btf_.name(type));

		CORBEL_TRY(put(tag));
		return put(name.empty() ? Text("(anonymous)") : name);
	}

	static bool is_qualifier(BtfKind kind)
	{
		return kind == BtfKind::const_ || kind == BtfKind::volatile_ ||
		       kind == BtfKind::restrict_ || kind == BtfKind::type_tag;
	}

	static Text qualifier_word(BtfKind kind)
	{
		switch (kind) {
		case BtfKind::const_:
			return "const";
		case BtfKind::volatile_:
			return "volatile";
		case BtfKind::restrict_:
			return "restrict";
		default:
			return {}; /* a type tag: depends on the compiler */
		}
	}

	/* The kind of what @id qualifies. */
	Result<BtfKind> kind_below_qualifiers(BtfTypeId id)
	{
		for (unsigned i = 0; i < max_depth; i++) {
			const auto type = CORBEL_TRY(btf_.type(id));

			if (!is_qualifier(type.kind))
				return type.kind;
			id = {type.size_or_type};
		}
		return Error::bad_message;
	}

	/* Array or function: what a "*" or qualifier in front of it must be kept from. */
	Result<bool> binds_tighter(BtfTypeId id)
	{
		const auto kind = CORBEL_TRY(kind_below_qualifiers(id));

		return kind == BtfKind::array || kind == BtfKind::function_proto;
	}

	Result<void> left(BtfTypeId id, unsigned depth)
	{
		if (depth == max_depth)
			return Error::bad_message;

		const auto type = CORBEL_TRY(btf_.type(id));
		const BtfTypeId target{type.size_or_type};

		switch (type.kind) {
		case BtfKind::void_:
			return put("void");
		case BtfKind::integer:
		case BtfKind::floating:
		case BtfKind::typedef_:
			return put_tagged("", type);
		case BtfKind::struct_:
			return put_tagged("struct ", type);
		case BtfKind::union_:
			return put_tagged("union ", type);
		case BtfKind::forward:
			return put_tagged(type.kind_flag ? Text("union ") : Text("struct "), type);
		case BtfKind::enum_:
		case BtfKind::enum64:
			return put_tagged("enum ", type);
		case BtfKind::pointer:
			CORBEL_TRY(left(target, depth + 1));
			CORBEL_TRY(put_space());
			if (CORBEL_TRY(binds_tighter(target)))
				CORBEL_TRY(put("("));
			return put("*");
		case BtfKind::const_:
		case BtfKind::volatile_:
		case BtfKind::restrict_:
		case BtfKind::type_tag:
			return left_qualified(type, depth);
		case BtfKind::array:
			return left(BtfTypeId{CORBEL_TRY(btf_.extra(type, 0))}, depth + 1);
		case BtfKind::function_proto:
			CORBEL_TRY(left(target, depth + 1));
			return put_space();
		case BtfKind::function:
		case BtfKind::variable:
		case BtfKind::data_section:
		case BtfKind::decl_tag:
			break; /* no types in the sense of C */
		}
		return Error::bad_message;
	}

	/* "const struct x", but "struct x *const". */
	Result<void> left_qualified(const Btf::Type &type, unsigned depth)
	{
		const BtfTypeId target{type.size_or_type};
		const auto word = qualifier_word(type.kind);
		const bool in_front = CORBEL_TRY(kind_below_qualifiers(target)) != BtfKind::pointer;

		if (in_front && !word.empty()) {
			CORBEL_TRY(put(word));
			CORBEL_TRY(put(" "));
		}
		CORBEL_TRY(left(target, depth + 1));
		if (!in_front && !word.empty()) {
			CORBEL_TRY(put_space());
			CORBEL_TRY(put(word));
		}
		return {};
	}

	Result<void> right(BtfTypeId id, unsigned depth)
	{
		if (depth == max_depth)
			return Error::bad_message;

		const auto type = CORBEL_TRY(btf_.type(id));
		const BtfTypeId target{type.size_or_type};

		switch (type.kind) {
		case BtfKind::pointer:
			if (CORBEL_TRY(binds_tighter(target)))
				CORBEL_TRY(put(")"));
			return right(target, depth + 1);
		case BtfKind::const_:
		case BtfKind::volatile_:
		case BtfKind::restrict_:
		case BtfKind::type_tag:
			return right(target, depth + 1);
		case BtfKind::array:
			CORBEL_TRY(put("["));
			CORBEL_TRY(put_number(CORBEL_TRY(btf_.extra(type, 2))));
			CORBEL_TRY(put("]"));
			return right(BtfTypeId{CORBEL_TRY(btf_.extra(type, 0))}, depth + 1);
		case BtfKind::function_proto:
			CORBEL_TRY(put_parameters(id, type, depth));
			return right(target, depth + 1);
		default:
			return {};
		}
	}

	Result<void> put_parameters(BtfTypeId id, const Btf::Type &type, unsigned depth)
	{
		CORBEL_TRY(put(type.count == 0 ? Text("(void") : Text("(")));
		for (std::uint32_t i = 0; i < type.count; i++) {
			const auto parameter = CORBEL_TRY(btf_.parameter(id, i));

			if (i > 0)
				CORBEL_TRY(put(", "));
			if (parameter.type == BtfTypeId{} && i + 1U == type.count)
				CORBEL_TRY(put("..."));
			else
				CORBEL_TRY(print(parameter.type, depth + 1));
		}
		return put(")");
	}

	const Btf &btf_;
	std::span<char> out_;
	std::size_t used_ = 0;
};

Result<Text> Btf::print(BtfTypeId id, std::span<char> out) const
{
	BtfPrinter printer(*this, out);

	CORBEL_TRY(printer.print(id, 0));
	return printer.text();
}

Result<bool> Btf::prints_as(BtfTypeId id, Text text) const
{
	char buffer[256];
	const auto printed = print(id, buffer);

	/* What is longer than any text asked about is not that text. */
	if (!printed.ok() && printed.error() == Error::no_space)
		return false;
	return CORBEL_TRY(printed) == text;
}

} /* namespace corbel::compat */
