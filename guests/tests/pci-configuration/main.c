/* Configuration mechanism 1: a host bridge, the console as device 1, all ones where there is nothing. */
#include "test.h"

static u32 read_config(u32 bus, u32 device, u32 function, u32 offset) {
  port_out(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ENABLE | bus << 16 | device << 11 | function << 8 | offset);
  return port_in(PCI_CONFIG_DATA_PORT);
}

void test_main(void) {
  setup();
  port_out(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ENABLE);
  check_equal("the address register read back", port_in(PCI_CONFIG_ADDRESS_PORT), PCI_CONFIG_ENABLE);
  check_equal("class of device 0", read_config(0, 0, 0, PCI_REVISION_ID) >> 16, PCI_CLASS_BRIDGE_HOST);
  check_equal("identity of device 1", read_config(0, 1, 0, PCI_VENDOR_ID),
              (VIRTIO_PCI_DEVICE_BASE + VIRTIO_ID_CONSOLE) << 16 | VIRTIO_PCI_VENDOR);
  check_equal("capability pointer of device 1", read_config(0, 1, 0, PCI_CAPABILITY_LIST) & 0xff, VIRTIO_PCI_AT_COMMON);
  check_equal("device 31", read_config(0, 31, 0, PCI_VENDOR_ID), 0xffffffff);
  check_equal("function 1 of device 1", read_config(0, 1, 1, PCI_VENDOR_ID), 0xffffffff);
  check_equal("bus 1", read_config(1, 1, 0, PCI_VENDOR_ID), 0xffffffff);
  u32 bar = read_config(0, 1, 0, PCI_BASE_ADDRESS_0);
  check((bar & 15) == 0 && bar >= ram_bytes(), "BAR 0 is %x", bar);
  port_out(PCI_CONFIG_DATA_PORT, 0xffffffff);
  u32 size = ~port_in(PCI_CONFIG_DATA_PORT) + 1;
  check(size >= 64 && (size & (size - 1)) == 0, "BAR 0 has %x bytes", size);
  port_out(PCI_CONFIG_DATA_PORT, bar);
}
