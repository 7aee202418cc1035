// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/error.hh>

#include <system_error>

namespace corbel {

std::string describe_errno(int number)
{
	return std::generic_category().message(number);
}

} /* namespace corbel */
