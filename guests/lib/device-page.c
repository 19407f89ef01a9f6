/* The console on the descriptor page: probing, negotiation, and one request at a time. */
#include "device-page.h"
#include "test.h"

#define PATIENCE 20000000

struct page_device *page_device_find(u8 type) {
  struct page_device *device = (void *)ram_bytes();
  while (device->type && device->type != type)
    device = (void *)((u8 *)(device->queue + device->queues) + 2 * device->feature_bytes + device->config_bytes);
  if (!device->type)
    error("no device of type %u on the descriptor page", type);
  return device;
}

void page_device_start(struct page_device *device) {
  device->status = 0;
  hcall1(LHCALL_NOTIFY, device);
  device->status = VIRTIO_STATUS_ACKNOWLEDGE;
  device->status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
  memset((u8 *)(device->queue + device->queues) + device->feature_bytes, 0, device->feature_bytes);
  hcall1(LHCALL_NOTIFY, device);
  device->status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK;
}

void console_find(struct page_console *console) {
  struct page_device *device = page_device_find(VIRTIO_ID_CONSOLE);
  console->device = device;
  console->in_irq = device->queue[0].irq;
  console->out_irq = device->queue[1].irq;
  console->out_address = device->queue[1].page * PAGE_SIZE;
}

void console_start(struct page_console *console) {
  console_find(console);
  page_device_start(console->device);
  vring_attach(&console->out, (void *)console->out_address, console->device->queue[1].entries);
}

int console_send(struct page_console *console, const char *text) {
  struct vring *ring = &console->out;
  ring->desc[0].address = (u32)text;
  ring->desc[0].length = strlen(text);
  ring->desc[0].flags = 0;
  ring->avail->ring[ring->avail->index % ring->entries] = 0;
  barrier();
  ring->avail->index++;
  hcall1(LHCALL_NOTIFY, console->out_address);
  for (u32 i = 0; i < PATIENCE; i++) {
    if (ring->used->index == ring->avail->index)
      return 1;
    barrier();
  }
  return 0;
}
