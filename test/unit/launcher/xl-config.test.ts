/** Configuration files of xl's: syntax, meaning, and what is said about the rest. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../host-ts/base/errors.ts";
import { parseXlConfig } from "../../../host-ts/launcher/xl-config.ts";
import { mapDisk, mapVif } from "../../../host-ts/launcher/xl-devices.ts";
import { parseXlSyntax, type XlValue } from "../../../host-ts/launcher/xl-syntax.ts";

type Plain = string | number | readonly Plain[];
const plain = (value: XlValue): Plain =>
  value.kind === "list"
    ? value.items.map(plain)
    : value.kind === "number"
      ? value.number
      : value.text;
const read = (text: string) =>
  Object.fromEntries(parseXlSyntax("f", text).map(({ name, value }) => [name, plain(value)]));

describe("syntax", () => {
  test("strings of both quotes, numbers, lists over lines, comments, semicolons", () => {
    expect(
      read(`# a guest
name = "one"   # its name
memory=64;vcpus = 0x2 ;
extra='console=hvc0 "quoted"'
empty = []
disk = [ # disks
   'a', "b",

   [1, 2],   # the last
]`),
    ).toEqual({
      ...{ name: "one", memory: 64, vcpus: 2, extra: 'console=hvc0 "quoted"', empty: [] },
      disk: ["a", "b", [1, 2]],
    });
  });

  test("escapes, a later setting, one that adds", () => {
    expect(read(String.raw`a = "x\n\t\"\\\x41\101"`)).toEqual({ a: 'x\n\t"\\AA' });
    expect(read('a = 1\na = 2\nb = ["x"]\nb += ["y"]\nc = "p"\nc += "q"\nd += "r"')).toEqual({
      ...{ a: 2, b: ["x", "y"], c: "pq", d: "r" },
    });
    expect(read("a = 1\r\nb = -2\r\n")).toEqual({ a: 1, b: -2 });
  });

  test.each([
    ["name", '1:5: the file ends, where "=" was expected'],
    ["a = 1\nb = \nc = 2", "2:5: the line ends, where a string in quotes, a number or a list"],
    ["a = 1 b = 2", '1:7: there is "b", where the end of the line was expected'],
    ["  = 1", '1:3: there is "=", where the name of a setting was expected'],
    ['a = "open\n', "1:5: this string does not end on its line"],
    ["a = [ 1,\n 2", '1:5: this "[" has no "]"'],
    ["a = [ 1 2 ]", '1:9: there is "2", where "," or "]" was expected'],
    ["a = 12ab", '1:5: there is "1", where a string'],
    ["a = 99999999999999999999", "1:5: 99999999999999999999 is too large"],
    ["a = [[[[[[[[[1]]]]]]]]]", "lists are nested too deep"],
    ['a = 1\na += "b"', '2:6: "+=" joins two lists or two strings'],
  ])("%j is refused at its place", (text, message) => {
    expect(() => read(text)).toThrow(`f:${message}`.replace("f:lists", "lists"));
    expect(() => read(text)).toThrow(ConfigError);
  });

  test("no text makes it throw anything else", () => {
    const word = fc.constantFrom(
      "a",
      "=",
      "+=",
      "[",
      "]",
      ",",
      '"',
      "'",
      "\\",
      "\n",
      ";",
      "#",
      "1",
      "0x",
      " ",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        try {
          parseXlConfig("f", words.join(""));
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const disk = (text: string) => {
  const mapped = mapDisk(text);
  return "refusal" in mapped ? mapped.refusal : mapped.options;
};
const vif = (text: string) => {
  const mapped = mapVif(text);
  return "refusal" in mapped ? mapped.refusal : mapped.options;
};

describe("disks", () => {
  const a = { file: "/a.img", access: "rw", vdev: "xvda" };
  test.each([
    ["/a.img,raw,xvda,rw", a],
    ["/a.img,,xvda", a],
    ["format=raw, vdev=xvda, access=w, target=/a.img", a],
    ["vdev=xvda,target=/a.img,b", { ...a, file: "/a.img,b" }],
    ["file:/a.img,xvda,w", a],
    ["phy:/dev/loop0,xvda1,r", { file: "/dev/loop0", access: "ro", vdev: "xvda1" }],
    ["tap:aio:/a.img,hda,w", { ...a, vdev: "hda" }],
    ["raw:/a.img,xvda,w", a],
    ["/a.img,raw,xvda,ro,backendtype=qdisk,discard", { ...a, access: "ro" }],
    ["/a.iso,,hdc,cdrom", { file: "/a.iso", access: "ro", vdev: "hdc" }],
    ["file:/a.iso,hdc:cdrom,r", { file: "/a.iso", access: "ro", vdev: "hdc" }],
    [",,hdc,cdrom", undefined],
  ])("%s", (text, expected) => {
    expect(disk(text)).toEqual(expected);
  });

  test.each([
    ["/a.img,qcow2,xvda,rw", "make a raw one of it"],
    ["qcow2:/a.img,xvda,w", "format qcow2"],
    ["/a.img,floppy,xvda", '"floppy" is no format'],
    ["/a.img,raw,xvda,rx", '"rx" is no access'],
    ["/a.img,raw,xvda,rw,more", "one parameter too many"],
    ["vdev=xvda,speed=9,target=/a", 'no parameter "speed"'],
    ["vdev=xvda", "the image file is missing"],
    ["script=block-nbd,vdev=xvda,target=x", "script= cannot be had"],
    ["backend=dom2,vdev=xvda,target=x", "backend= cannot be had"],
  ])("%s is refused", (text, message) => {
    expect(disk(text)).toContain(message);
  });
});

test("network cards join the hub of their bridge's name", () => {
  expect(vif("mac=00:16:3e:00:00:01, bridge=lan, script=vif-bridge, ip=10.0.0.2")).toEqual({
    ...{ hub: "lan", mac: "00:16:3e:00:00:01" },
  });
  expect(vif("")).toEqual({ hub: "xenbr0", mac: undefined });
  expect(vif("type=vif")).toEqual({ hub: "xenbr0", mac: undefined });
  expect(vif("type=ioemu")).toContain("type=vif");
  expect(vif("backend=dom3")).toContain("cannot be had");
  expect(vif("speed=3")).toContain('no parameter "speed"');
});

describe("meaning", () => {
  const config = (text: string) => parseXlConfig("g.cfg", text);

  test("a whole file becomes options", () => {
    expect(
      config(`
type = "pv"
name = "web"
kernel = "/boot/vmlinuz"
ramdisk = "/boot/initrd"
extra = "console=hvc0 quiet"
root = "/dev/xvda1 ro"
memory = 256
maxmem = 256
vcpus = "2"
disk = [ 'file:/a.img,xvda1,w' ]
vif = [ 'mac=00:16:3e:00:00:01' ]
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
`),
    ).toEqual({
      name: "web",
      kernelFile: "/boot/vmlinuz",
      initrdFile: "/boot/initrd",
      commandLine: "root=/dev/xvda1 ro console=hvc0 quiet",
      memoryBytes: 256 << 20,
      vcpus: 2,
      block: [{ file: "/a.img", access: "rw", vdev: "xvda1" }],
      net: [{ hub: "xenbr0", mac: "00:16:3e:00:00:01" }],
      onRestart: "end",
      warnings: [],
    });
  });

  test("an empty file asks for nothing, and boots again as xl does", () => {
    expect(config("")).toMatchObject({
      ...{ kernelFile: undefined, commandLine: undefined, memoryBytes: undefined },
      ...{ block: [], net: [], onRestart: "reboot", warnings: [] },
    });
  });

  test("what means nothing here is told with its place", () => {
    expect(
      config(`vnc = 1
uuid = "x"
kernel = "k"; bootloader = "pygrub"
cmdline = "a"
extra = "b"
memory = 64
maxmem = 128
vcpus = 1
maxvcpus = 2
pci = []
disk = [ ',,hdc,cdrom' ]
`).warnings,
    ).toEqual([
      'g.cfg:3:15: "bootloader" has no meaning beside "kernel"',
      'g.cfg:5:1: "extra" has no meaning beside "cmdline"',
      'g.cfg:7:1: "maxmem" has no meaning here: the domain has "memory" and no more',
      'g.cfg:8:1: "vcpus" has no meaning here: all of "maxvcpus" are online',
      "g.cfg:11:10: disk: an empty drive has no meaning here",
      'g.cfg:1:1: "vnc" has no meaning here',
      'g.cfg:2:1: "uuid" has no meaning here',
    ]);
  });

  test.each([
    ['type = "hvm"', '1:8: type = "hvm" cannot be had here: only type = "pv" runs here'],
    ['builder = "hvm"', 'builder = "hvm" cannot be had here'],
    ["pvh = 1", "pvh cannot be had here"],
    ['bootloader = "pygrub"', "take it out and write kernel"],
    ['pci = [ "01:00.0" ]', "there are no PCI devices to give away"],
    ['on_reboot = "preserve"', 'write "restart" or "destroy"'],
    ['on_crash = "restart"', 'on_crash = "restart" cannot be had here'],
    ['on_poweroff = "preserve"', "the program ends with its guest"],
    ['memory = "lots"', '"memory" must be a number from 1 on'],
    ["memory = 0", '"memory" must be a number from 1 on'],
    ["memory = 64\nmaxmem = 32", 'it is less than "memory"'],
    ["kernel = 3", '1:10: "kernel" must be a string in quotes'],
    ['disk = "x"', '"disk" must be a list of strings'],
    ["disk = [ 1 ]", '1:10: "disk" must be a list of strings'],
    ["disk = [\n '/a.img,qcow2,xvda' ]", "2:2: disk: images of format qcow2"],
  ])("%j is refused, with what to do", (text, message) => {
    expect(() => config(text)).toThrow(message);
    expect(() => config(text)).toThrow(ConfigError);
  });
});
