/** Where the vectors do not reach: device memory, ports, and string instructions at page ends, on their own code, and as counted. */
import { describe, expect, it } from "vitest";
import {
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_IO_IN,
  EXIT_IO_OUT,
  EXIT_KILL,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  KILL_BAD_ADDRESS,
  MMIO_QUEUE_MAX,
} from "../../abi/vcpu.ts";
import { REG_ECX, REG_EDI, REG_ESI } from "../../abi/x86.ts";
import { BareMachine, CODE, DEVICE } from "../drivers/bare-machine.ts";

const REP_MOVSB = [0xf3, 0xa4];
const REP_MOVSD = [0xf3, 0xa5];
const REP_STOSD = [0xf3, 0xab];
const REPE_CMPSB = [0xf3, 0xa6];
const REP_LODSB = [0xf3, 0xac];
const REP_INSW = [0xf3, 0x66, 0x6d];
const REP_OUTSB = [0xf3, 0x6e];
const BUFFER = 0x4000;

/** EAX ECX EDX EBX ESP EBP ESI EDI. */
function regs(ecx: number, esi: number, edi: number, eax = 0, edx = 0): (number | undefined)[] {
  return [eax, ecx, edx, undefined, undefined, undefined, esi, edi];
}

/** Reason and the words that carry meaning. */
const brief = (exits: readonly (readonly number[])[], words: number) =>
  exits.map((exit) => exit.slice(0, words + 1));

describe("string instructions and devices", () => {
  it("REP MOVSB reads device memory one element at a time, each once", () => {
    const machine = new BareMachine();
    machine.load(REP_MOVSB, regs(3, DEVICE + 8, BUFFER));
    const exits = machine.runDevices();
    expect(brief(exits.slice(0, -1), 2)).toEqual([
      [EXIT_MMIO_READ, DEVICE + 8, 1],
      [EXIT_MMIO_READ, DEVICE + 9, 1],
      [EXIT_MMIO_READ, DEVICE + 10, 1],
    ]);
    expect(exits.at(-1)![0]).toBe(EXIT_HALT);
    expect(machine.read(BUFFER, 4)).toEqual([1, 2, 3, 0]);
    expect(machine.vcpu.gpr(REG_ECX)).toBe(0);
  });

  it("REP STOSD writes device memory one element at a time", () => {
    const machine = new BareMachine();
    machine.load(REP_STOSD, regs(2, 0, DEVICE, 0x12345678));
    const exits = machine.runDevices();
    expect(brief(exits.slice(0, -1), 3)).toEqual([
      [EXIT_MMIO_WRITE, DEVICE, 4, 0x12345678],
      [EXIT_MMIO_WRITE, DEVICE + 4, 4, 0x12345678],
    ]);
    expect(exits.at(-1)![0]).toBe(EXIT_HALT);
    expect(machine.vcpu.gpr(REG_EDI)).toBe(DEVICE + 8);
  });

  it("REP MOVSD from device memory to device memory alternates reads and writes", () => {
    const machine = new BareMachine();
    machine.load(REP_MOVSD, regs(2, DEVICE, DEVICE + 0x100));
    const exits = machine.runDevices();
    expect(
      brief(exits.slice(0, -1), 3).map(([reason, gpa, , value]) => [reason, gpa, value]),
    ).toEqual([
      [EXIT_MMIO_READ, DEVICE, 0],
      [EXIT_MMIO_WRITE, DEVICE + 0x100, 1],
      [EXIT_MMIO_READ, DEVICE + 4, 0],
      [EXIT_MMIO_WRITE, DEVICE + 0x104, 2],
    ]);
  });

  it("REPE CMPSB compares memory with a device and stops at the first difference", () => {
    const machine = new BareMachine();
    machine.write(BUFFER, [1, 2, 9, 4]);
    machine.load(REPE_CMPSB, regs(4, BUFFER, DEVICE));
    const exits = machine.runDevices();
    expect(exits.length).toBe(4);
    expect(machine.vcpu.gpr(REG_ECX)).toBe(1);
    expect(machine.vcpu.gpr(REG_ESI)).toBe(BUFFER + 3);
  });

  it("REP OUTSB leaves once per byte with EIP at the instruction while bytes are left", () => {
    const machine = new BareMachine();
    machine.write(BUFFER, [7, 8]);
    machine.load(REP_OUTSB, regs(2, BUFFER, 0, 0, 0x3f8));
    expect(machine.run().slice(0, 4)).toEqual([EXIT_IO_OUT, 0x3f8, 1, 7]);
    expect(machine.vcpu.eip).toBe(CODE);
    expect(machine.run().slice(0, 4)).toEqual([EXIT_IO_OUT, 0x3f8, 1, 8]);
    expect(machine.vcpu.eip).toBe(CODE + 2);
    expect(machine.run()[0]).toBe(EXIT_HALT);
  });

  it("REP INSW asks for every word and stores what the Host queued", () => {
    const machine = new BareMachine();
    machine.load(REP_INSW, regs(2, 0, BUFFER, 0, 0x1f0));
    const exits = machine.runDevices();
    expect(brief(exits.slice(0, -1), 3)).toEqual([
      [EXIT_IO_IN, 0x1f0, 2, 1],
      [EXIT_IO_IN, 0x1f0, 2, 1],
    ]);
    expect(machine.read(BUFFER, 4)).toEqual([1, 0, 2, 0]);
    expect(machine.vcpu.gpr(REG_EDI)).toBe(BUFFER + 4);
  });

  it("REP INSW into device memory reads the port and writes the device, and reads no device", () => {
    const machine = new BareMachine();
    machine.load(REP_INSW, regs(1, 0, DEVICE, 0, 0x1f0));
    expect(brief(machine.runDevices(), 3).map(([reason, where]) => [reason, where])).toEqual([
      [EXIT_IO_IN, 0x1f0],
      [EXIT_MMIO_WRITE, DEVICE],
      [EXIT_HALT, 0],
    ]);
  });
});

describe("other instructions and devices", () => {
  it("POPA from device memory pops what the device gave", () => {
    const machine = new BareMachine();
    machine.load([0x61], [0, 0, 0, 0, DEVICE + 0x100]);
    expect(machine.runDevices().at(-1)![0]).toBe(EXIT_HALT);
    // From the lowest on: EDI, ESI, EBP, ESP (ignored), EBX, EDX, ECX, EAX.
    expect(Array.from({ length: 8 }, (_, r) => machine.vcpu.gpr(r))).toEqual([
      ...[8, 7, 6, 5],
      ...[DEVICE + 0x120, 3, 2, 1],
    ]);
  });

  it("an operand that begins in memory and ends in a device takes each part from its own", () => {
    const machine = new BareMachine();
    machine.write(DEVICE - 1, [0x55]);
    // MOV ECX, [EAX]; MOV [EAX], EBX; ADD [EAX], EBX.
    machine.load([0x8b, 0x08, 0x89, 0x18, 0x01, 0x18], [DEVICE - 1, 0, 0, 0x04030201]);
    expect(brief(machine.runDevices(), 4)).toEqual([
      [EXIT_MMIO_READ, DEVICE, 2, 0, 0],
      [EXIT_MMIO_READ, DEVICE + 2, 1, 0, 0],
      [EXIT_MMIO_WRITE, DEVICE, 2, 0x0302, 0],
      [EXIT_MMIO_WRITE, DEVICE + 2, 1, 0x04, 0],
      [EXIT_MMIO_READ, DEVICE, 2, 0, 0],
      [EXIT_MMIO_READ, DEVICE + 2, 1, 0, 0],
      // The device said 3 and 4.
      [EXIT_MMIO_WRITE, DEVICE, 2, 0x0305, 0],
      [EXIT_MMIO_WRITE, DEVICE + 2, 1, 0x08, 0],
      [EXIT_HALT, 0, 0, 0, 0],
    ]);
    expect(machine.vcpu.gpr(REG_ECX)).toBe(0x02000155);
    expect(machine.read(DEVICE - 1, 1)).toEqual([2]);
  });

  it("an operand across two device pages takes each part from its own page", () => {
    const machine = new BareMachine();
    machine.load([0x8b, 0x08], [DEVICE + 0xffd]);
    expect(brief(machine.runDevices(), 2)).toEqual([
      [EXIT_MMIO_READ, DEVICE + 0xffd, 2],
      [EXIT_MMIO_READ, DEVICE + 0xfff, 1],
      [EXIT_MMIO_READ, DEVICE + 0x1000, 1],
      [EXIT_HALT, 0, 0],
    ]);
  });

  it("FXRSTOR and FXSAVE take the whole image from a device and to it", () => {
    const machine = new BareMachine();
    machine.load([0x0f, 0xae, 0x08, 0x0f, 0xae, 0x00], [DEVICE]);
    const exits = machine.runDevices();
    expect(exits.at(-1)![0]).toBe(EXIT_HALT);
    const written = exits.filter(([reason]) => reason === EXIT_MMIO_WRITE);
    // Two reads for the ends, then quadword by quadword: XMM0 is the 21st.
    const [, , , low] = written.find(([, gpa]) => gpa === DEVICE + 160)!;
    expect(low).toBe(2 + 21);
  });

  it("ENTER of 31 levels in device memory kills the guest instead of overrunning the queue", () => {
    const machine = new BareMachine();
    machine.load([0xc8, 0, 0, 31], [0, 0, 0, 0, DEVICE + 0x800, DEVICE + 0x800]);
    const exits = machine.runDevices();
    expect(exits.length).toBe(MMIO_QUEUE_MAX + 1);
    expect(exits.at(-1)!.slice(0, 2)).toEqual([EXIT_KILL, KILL_BAD_ADDRESS]);
  });

  it("ADD to device memory reads, then writes", () => {
    const machine = new BareMachine();
    machine.load([0x83, 0x00, 0x10], [DEVICE]);
    expect(brief(machine.runDevices(), 3)).toEqual([
      [EXIT_MMIO_READ, DEVICE, 4, 0],
      [EXIT_MMIO_WRITE, DEVICE, 4, 0x11],
      [EXIT_HALT, 0, 0, 0],
    ]);
  });
});

describe("repeated string instructions", () => {
  it("REP MOVSB onto itself, one byte ahead, replicates the first byte", () => {
    const machine = new BareMachine();
    machine.write(BUFFER, [5, 1, 2, 3, 4]);
    machine.load(REP_MOVSB, regs(4, BUFFER, BUFFER + 1));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.read(BUFFER, 5)).toEqual([5, 5, 5, 5, 5]);
  });

  it("REP MOVSB backward copies an overlapping range as it was", () => {
    const machine = new BareMachine();
    machine.write(BUFFER, [1, 2, 3, 4]);
    machine.load([0xfd, ...REP_MOVSB], regs(3, BUFFER + 2, BUFFER + 3));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.read(BUFFER, 4)).toEqual([1, 1, 2, 3]);
  });

  it("STOSB backward from the last byte of the address space takes its elements", () => {
    const machine = new BareMachine();
    machine.load([0xfd, 0xf3, 0xaa], regs(5, 0, 0xffffffff));
    expect(machine.runDevices().length).toBe(5 + 1);
    expect(machine.vcpu.gpr(REG_EDI)).toBe(0xfffffffa);
  });

  it("a count of 0 does nothing and retires once", () => {
    const machine = new BareMachine();
    machine.load(REP_LODSB, regs(0, BUFFER, 0, 0x55));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.vcpu.retired).toBe(2);
    expect(machine.vcpu.gpr(0)).toBe(0x55);
  });

  it("retires once per page that a pointer touches", () => {
    const machine = new BareMachine();
    // 8 KiB from the middle of a page: the source ends pages at 0x800 and 0x1800, the destination at 0x1000 and 0x2000.
    machine.load(REP_MOVSB, regs(0x2000, BUFFER + 0x800, BUFFER + 0x8000));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.vcpu.retired).toBe(4 + 1);
  });

  it("stops at the end of a slice with the work done so far in the registers", () => {
    const machine = new BareMachine();
    machine.load(REP_STOSD, regs(0x800, 0, BUFFER, 0x01010101));
    expect(machine.run(1)[0]).toBe(EXIT_BUDGET);
    expect(machine.vcpu.eip).toBe(CODE);
    expect(machine.vcpu.gpr(REG_ECX)).toBe(0x400);
    expect(machine.vcpu.gpr(REG_EDI)).toBe(BUFFER + 0x1000);
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.read(BUFFER + 0x1ffc, 5)).toEqual([1, 1, 1, 1, 0]);
  });

  it("REP MOVSD over the code that follows executes the new code", () => {
    const machine = new BareMachine();
    // The four NOPs after the copy become INC EAX four times.
    machine.write(BUFFER, [0x40, 0x40, 0x40, 0x40]);
    machine.load([...REP_MOVSD, 0x90, 0x90, 0x90, 0x90], regs(1, BUFFER, CODE + 2));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.vcpu.gpr(0)).toBe(4);
  });

  it("an element that straddles two pages is moved whole", () => {
    const machine = new BareMachine();
    machine.write(BUFFER + 0xffe, [1, 2, 3, 4, 5, 6, 7, 8]);
    machine.load(REP_MOVSD, regs(2, BUFFER + 0xffe, BUFFER + 0x2ffd));
    expect(machine.run()[0]).toBe(EXIT_HALT);
    expect(machine.read(BUFFER + 0x2ffd, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});
