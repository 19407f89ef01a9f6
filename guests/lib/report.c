/* Printing by whichever way the variety has, and the end. */
#include "test.h"

int can_print;
static char held[1024]; /* what was printed before the Host could be reached */
static u32 held_bytes;

#ifdef LGUEST_PCI
/* The console is device 1; its emergency-write register is reached through the configuration access window. */
static void config_address(u32 offset) {
  port_out(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ENABLE | 1u << 11 | offset);
}

static void put_text(const char *text, u32 length) {
  for (u32 i = 0; i < length; i++) {
    config_address(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_BAR);
    __asm__ volatile("outb %0, %w1" : : "a"((u8)0), "Nd"(PCI_CONFIG_DATA_PORT));
    config_address(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_LENGTH);
    port_out(PCI_CONFIG_DATA_PORT, 4);
    config_address(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_OFFSET);
    port_out(PCI_CONFIG_DATA_PORT, VIRTIO_BAR_DEVICE + VIRTIO_CONSOLE_CONFIG_EMERG_WR);
    config_address(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_EXTRA);
    port_out(PCI_CONFIG_DATA_PORT, (u8)text[i]);
  }
}
#else
static void put_text(const char *text, u32 length) {
  static char chunk[17];
  while (length) {
    u32 bytes = length < 16 ? length : 16;
    memcpy(chunk, text, bytes);
    chunk[bytes] = '\0';
    hcall1(LHCALL_NOTIFY, chunk);
    text += bytes;
    length -= bytes;
  }
}
#endif

void put_line(const char *text, u32 length) {
  if (!can_print) {
    if (held_bytes + length <= sizeof held) {
      memcpy(held + held_bytes, text, length);
      held_bytes += length;
    }
    return;
  }
  if (held_bytes)
    put_text(held, held_bytes);
  held_bytes = 0;
  put_text(text, length);
}

void reach_host(void) {
  if (!can_print)
    lg_init();
}

void power_off(void) {
  for (;;)
    hcall2(LHCALL_SHUTDOWN, LGUEST_POWER_DOWN, LGUEST_SHUTDOWN_POWEROFF);
}
