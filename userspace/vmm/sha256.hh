/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sha256.hh - SHA-256 of what is given piece by piece, in hexadecimal. */
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace corbel::vmm {

class Sha256 {
public:
	Sha256();

	void add(std::string_view bytes);
	/* The last thing that is asked of it. */
	[[nodiscard]] std::string text();

private:
	std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st *)> context_;
};

} /* namespace corbel::vmm */
