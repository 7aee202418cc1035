/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest_folder.hh - what the agent reads of a guest's /proc, as plain files. */
#pragma once

#include "result.hh"
#include "temporary_folder.hh"

#include <agent/guest_irqs.hh>

#include <libcorbel/text_file.hh>

#include <string>

namespace corbel::test {

/* Two CPUs with APIC ids 0 and 4; interrupts 5 and 24 can be moved. */
class GuestFolder {
public:
	GuestFolder()
	{
		folder_.write("cpuinfo", "processor\t: 0\nvendor_id\t: x\napicid\t\t: 0\n"
					 "initial apicid\t: 9\n\n"
					 "processor\t: 1\napicid\t\t: 4\n\n");
		folder_.write(
			"interrupts",
			"           CPU0       CPU1\n"
			"  1:          3          0   IO-APIC   1-edge      i8042\n"
			"  5:          0         17   PCI-MSI 81920-edge      virtio0-input.0\n"
			" 24:        100          1   PCI-MSI 512-edge      virtio1-req.0, x\n"
			" 30:          0          0   PCI-MSI 514-edge\n"
			"LOC:        123        456   Local timer interrupts\n"
			"ERR:          0\n");
		set(5, "1");
		set(24, "0");
	}

	void set(unsigned irq, std::string_view cpus) const
	{
		for (const char *file : {"smp_affinity_list", "effective_affinity_list"})
			folder_.write(path(irq, file), cpus);
	}
	[[nodiscard]] std::string affinity(unsigned irq) const
	{
		return text_of_file(folder_.path() / path(irq, "smp_affinity_list")).value_or("");
	}
	[[nodiscard]] agent::GuestIrqs open() const
	{
		return must(agent::GuestIrqs::open(folder_.path().c_str()));
	}

private:
	static std::string path(unsigned irq, const char *file)
	{
		return "irq/" + std::to_string(irq) + "/" + file;
	}

	TemporaryFolder folder_;
};

} /* namespace corbel::test */
