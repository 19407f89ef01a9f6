/* Guest 090: the console. First a string handed to NOTIFY, sixteen characters at a time; then a virtio device.
 *
 * The page right above RAM lists the devices, packed one after the other. Rings are already there, allocated by the
 * Host; each has an interrupt of its own, and NOTIFY with a ring's address tells the Host to look at it.
 */
#include "kernel.h"
#include "vring.h"

#define EARLY_CHUNK 16
#define IN_BUFFERS 4
#define IN_BYTES 64
#define OUT_BUFFERS 16
#define OUT_BYTES 256
#define INPUT_BYTES 1024

/* One descriptor of the device page; queues, features and configuration follow without padding. */
struct device {
  u8 type, queues, feature_bytes, config_bytes;
  volatile u8 status;
  struct __attribute__((packed)) {
    u16 entries, irq;
    u32 page;
  } queue[];
} __attribute__((packed));

const char *console_name = "early console";

static struct vring in, out;
static u32 in_address, out_address;
static u8 in_buffers[IN_BUFFERS][IN_BYTES], out_buffers[OUT_BUFFERS][OUT_BYTES];
static u32 out_busy; /* one bit per buffer */
static char input[INPUT_BYTES];
static u32 input_head, input_tail;

static void early_write(const char *text, u32 length) {
  static char chunk[EARLY_CHUNK + 1];
  while (length) {
    u32 bytes = length < EARLY_CHUNK ? length : EARLY_CHUNK;
    memcpy(chunk, text, bytes);
    chunk[bytes] = '\0';
    hcall1(LHCALL_NOTIFY, to_phys(chunk));
    text += bytes;
    length -= bytes;
  }
}

/* Offers one buffer to the device under the descriptor of the same number. */
static void offer(struct vring *ring, u32 number, void *buffer, u32 length, u16 flags) {
  ring->desc[number].address = to_phys(buffer);
  ring->desc[number].length = length;
  ring->desc[number].flags = flags;
  ring->avail->ring[ring->avail->index % ring->entries] = number;
  barrier();
  ring->avail->index++;
}

static void reclaim_output(void) {
  u32 before = out_busy;
  while (out.seen != out.used->index) {
    out_busy &= ~(1u << out.used->ring[out.seen % out.entries].id);
    out.seen++;
  }
  if (before != out_busy)
    wake_up(&out);
}

static void input_interrupt(void) {
  while (in.seen != in.used->index) {
    volatile struct vring_used_entry *entry = &in.used->ring[in.seen % in.entries];
    u32 id = entry->id;
    for (u32 i = 0; i < entry->length && i < IN_BYTES; i++)
      if (input_head - input_tail < INPUT_BYTES)
        input[input_head++ % INPUT_BYTES] = in_buffers[id][i];
    in.seen++;
    offer(&in, id, in_buffers[id], IN_BYTES, VIRTQ_DESC_F_WRITE);
  }
  hcall1(LHCALL_NOTIFY, in_address);
  wake_up(&in);
}

/* A free output buffer; waits for the device when it has them all. */
static u32 take_output_buffer(int may_sleep) {
  for (;;) {
    reclaim_output();
    for (u32 i = 0; i < OUT_BUFFERS; i++)
      if (!(out_busy & 1u << i))
        return i;
    if (may_sleep)
      sleep_on(&out);
    else
      hcall0(LHCALL_SEND_INTERRUPTS);
  }
}

static void device_write(const char *text, u32 length, int may_sleep) {
  u32 flags = interrupts_off();
  while (length) {
    u32 number = take_output_buffer(may_sleep), used = 0;
    /* The kernel's console is a terminal line: a newline also returns the carriage. */
    for (; length && used < OUT_BYTES - 1; text++, length--) {
      if (*text == '\n')
        out_buffers[number][used++] = '\r';
      out_buffers[number][used++] = *text;
    }
    out_busy |= 1u << number;
    offer(&out, number, out_buffers[number], used, 0);
    hcall1(LHCALL_NOTIFY, out_address);
  }
  interrupts_restore(flags);
}

void console_write(const char *text, u32 length, int may_sleep) {
  if (out.entries)
    device_write(text, length, may_sleep);
  else
    early_write(text, length);
}

u32 console_read(char *buffer, u32 max) {
  u32 flags = interrupts_off(), length = 0;
  while (input_head == input_tail)
    sleep_on(&in);
  while (length < max && input_head != input_tail)
    buffer[length++] = input[input_tail++ % INPUT_BYTES];
  interrupts_restore(flags);
  return length;
}

static void set_status(struct device *device, u8 status) {
  device->status = status;
  /* The Host is told of a reset and when the features are settled; other changes it may read at leisure. */
  if (status == 0)
    hcall1(LHCALL_NOTIFY, to_phys(device));
}

static void console_start(struct device *device) {
  set_status(device, 0);
  set_status(device, VIRTIO_STATUS_ACKNOWLEDGE);
  set_status(device, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
  memset((u8 *)(device->queue + device->queues) + device->feature_bytes, 0, device->feature_bytes);
  hcall1(LHCALL_NOTIFY, to_phys(device));

  in_address = device->queue[0].page * PAGE_SIZE;
  out_address = device->queue[1].page * PAGE_SIZE;
  vring_attach(&in, to_virt(in_address), device->queue[0].entries);
  vring_attach(&out, to_virt(out_address), device->queue[1].entries);
  set_status(device, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);

  for (u32 i = 0; i < IN_BUFFERS; i++)
    offer(&in, i, in_buffers[i], IN_BYTES, VIRTQ_DESC_F_WRITE);
  hcall1(LHCALL_NOTIFY, in_address);
  irq_handle(device->queue[0].irq, input_interrupt);
  irq_handle(device->queue[1].irq, reclaim_output);
  console_name = "virtio console";
  printk("console: virtio, rings at %p and %p, irqs %u and %u\n", (void *)in_address, (void *)out_address,
         device->queue[0].irq, device->queue[1].irq);
}

/* Walks the descriptor page for a console (virtio id 3); without one the early console stays. */
void console_init(u32 device_page) {
  struct device *device = to_virt(device_page);
  while (device->type && device->type != VIRTIO_ID_CONSOLE)
    device = (void *)((u8 *)(device->queue + device->queues) + 2 * device->feature_bytes + device->config_bytes);
  if (device->type)
    console_start(device);
  else
    printk("console: no device on the page at %p\n", (void *)device_page);
}
