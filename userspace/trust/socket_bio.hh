/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * socket_bio.hh - how OpenSSL reads and writes a socket here: it never blocks, there is no
 * SIGPIPE for who writes to one that is gone, and the first byte that came is remembered,
 * which tells TLS from everything else.
 */
#pragma once

#include "openssl.hh"

#include <optional>

namespace corbel::trust {

/* It does not own @fd. Null: no memory. */
[[nodiscard]] BioPointer socket_bio(int fd);
/* Nothing: none came yet. */
[[nodiscard]] std::optional<unsigned char> first_byte(BIO *bio);

} /* namespace corbel::trust */
