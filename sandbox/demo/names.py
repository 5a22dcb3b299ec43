"""Names and numbers of the invented province: cities, sectors, chapters, people, firms.

City names and sector codes are public code lists (GB/T 2260, GB/T 4754-2017, ICD-10 chapters).  People,
firms and their numbers are invented.  Checksums are valid (GB 11643-1999 for resident numbers,
GB 32100-2015 with GB 11714 inside for social credit codes) but the area part of a resident
number is a city's own code, ending in 00, under which no number is issued: it belongs to nobody.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sandbox.demo.draws import Draws, Ints, ascii_column, digits, labels, zipf


class City(NamedTuple):
    """A prefecture-level city: name, GB/T 2260 code, inhabitants in ten thousands (2020)."""

    name: str
    code: int
    weight: float


CITIES: Final = (
    City("太原", 140100, 530), City("大同", 140200, 311), City("阳泉", 140300, 132),
    City("长治", 140400, 318), City("晋城", 140500, 219), City("朔州", 140600, 159),
    City("晋中", 140700, 338), City("运城", 140800, 477), City("忻州", 140900, 269),
    City("临汾", 141000, 398), City("吕梁", 141100, 340),
)  # fmt: skip


class Sector(NamedTuple):
    """A two-digit industry of GB/T 4754-2017, with demo weights: firms; kWh a month of a typical meter."""

    code: str
    zh: str
    en: str
    weight: float
    kwh: float


SECTORS: Final = (
    Sector("06", "煤炭开采和洗选业", "Coal mining and washing", 6, 90_000),
    Sector("08", "黑色金属矿采选业", "Ferrous ore mining", 2, 40_000),
    Sector("13", "农副食品加工业", "Agricultural food processing", 6, 9_000),
    Sector("14", "食品制造业", "Food manufacturing", 4, 7_000),
    Sector("15", "酒、饮料和精制茶制造业", "Beverages", 3, 8_000),
    Sector("17", "纺织业", "Textiles", 2, 12_000),
    Sector("22", "造纸和纸制品业", "Paper", 2, 15_000),
    Sector("25", "石油、煤炭及其他燃料加工业", "Coking and fuel processing", 3, 110_000),
    Sector("26", "化学原料和化学制品制造业", "Chemicals", 4, 80_000),
    Sector("27", "医药制造业", "Pharmaceuticals", 2, 20_000),
    Sector("30", "非金属矿物制品业", "Non-metallic minerals", 7, 35_000),
    Sector("31", "黑色金属冶炼和压延加工业", "Ferrous smelting", 2, 300_000),
    Sector("32", "有色金属冶炼和压延加工业", "Non-ferrous smelting", 1, 250_000),
    Sector("33", "金属制品业", "Metal products", 6, 14_000),
    Sector("34", "通用设备制造业", "General machinery", 5, 12_000),
    Sector("35", "专用设备制造业", "Special machinery", 5, 12_000),
    Sector("36", "汽车制造业", "Motor vehicles", 1, 30_000),
    Sector("39", "计算机、通信和其他电子设备制造业", "Electronics", 1, 40_000),
    Sector("44", "电力、热力生产和供应业", "Electricity and heat supply", 3, 60_000),
    Sector("47", "房屋建筑业", "Building construction", 9, 6_000),
    Sector("51", "批发业", "Wholesale", 18, 1_500),
    Sector("52", "零售业", "Retail", 24, 900),
    Sector("54", "道路运输业", "Road transport", 10, 2_000),
    Sector("62", "餐饮业", "Restaurants", 14, 1_800),
    Sector("65", "软件和信息技术服务业", "Software and IT services", 7, 2_200),
)


class Chapter(NamedTuple):
    """An ICD-10 chapter, with demo weights: frequency, median fee in yuan, winter peak."""

    code: str
    zh: str
    en: str
    weight: float
    fee: float
    winter: float


CHAPTERS: Final = (
    Chapter("I", "某些传染病和寄生虫病", "Infectious diseases", 5, 300, 0.1),
    Chapter("II", "肿瘤", "Neoplasms", 4, 6_000, 0.0),
    Chapter("IV", "内分泌、营养和代谢疾病", "Endocrine and metabolic diseases", 9, 450, 0.0),
    Chapter("V", "精神和行为障碍", "Mental disorders", 2, 700, 0.0),
    Chapter("VI", "神经系统疾病", "Nervous system", 4, 900, 0.0),
    Chapter("VII", "眼和附器疾病", "Eye", 4, 500, 0.0),
    Chapter("IX", "循环系统疾病", "Circulatory system", 18, 1_200, 0.15),
    Chapter("X", "呼吸系统疾病", "Respiratory system", 20, 260, 0.4),
    Chapter("XI", "消化系统疾病", "Digestive system", 13, 400, 0.0),
    Chapter("XIII", "肌肉骨骼和结缔组织疾病", "Musculoskeletal system", 10, 550, 0.0),
    Chapter("XIV", "泌尿生殖系统疾病", "Genitourinary system", 6, 600, 0.0),
    Chapter("XV", "妊娠、分娩和产褥期", "Pregnancy and childbirth", 2, 3_500, 0.0),
    Chapter("XIX", "损伤和中毒", "Injury and poisoning", 5, 1_100, 0.0),
)

SURNAMES: Final = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕")
GIVEN: Final = tuple(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国文辉力红志永健梅鑫宇欣佳雪晨浩然博"
)
FIRM_WORDS: Final = (
    "晋源", "恒通", "鑫盛", "华泰", "汇丰达", "博远", "瑞祥", "宏业", "金泽", "天成", "永昌",
    "德润", "兴隆", "万和", "同创", "远景", "嘉禾", "泰和", "凯旋", "盛世",
)  # fmt: skip

AGE_BANDS: Final = ("0-17", "18-44", "45-64", "65+")
_BAND_YEARS: Final = ((2008, 2025), (1981, 2007), (1961, 1980), (1935, 1960))
_ID_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)
_ID_CHECKS: Final = np.frombuffer(b"10X98765432", dtype=np.uint8)
_CREDIT_ALPHABET: Final = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", dtype=np.uint8)
_ORGANISATION_CHECKS: Final = np.frombuffer(b"0123456789X", dtype=np.uint8)
_ORGANISATION_WEIGHTS: Final = np.array([3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)


def people(draws: Draws, index: Ints) -> pa.StringArray:
    """Invented personal names, two or three characters."""
    parts = [labels(SURNAMES, draws.pick("surname", index, zipf(len(SURNAMES), 0.7)))]
    parts.append(labels(GIVEN, draws.below("given", index, len(GIVEN))))
    parts.append(labels(("", *GIVEN), draws.below("given/2", index, len(GIVEN) + 1)))
    return pc.binary_join_element_wise(*parts, "")


def firms(draws: Draws, index: Ints, city: Ints, sector: Ints) -> pa.StringArray:
    """Invented company names: city, a word of good omen, a number, the sector's first words."""
    parts = [
        labels([c.name for c in CITIES], city),
        labels(FIRM_WORDS, draws.below("firm", index, len(FIRM_WORDS))),
        pa.array(index + 1, pa.int64()).cast(pa.string()),
        labels([s.zh.rstrip("业").split("、")[0] for s in SECTORS], sector),
        labels(["有限公司"], np.zeros(len(index), dtype=np.int64)),
    ]
    return pc.binary_join_element_wise(*parts, "")


def resident_numbers(draws: Draws, index: Ints, city: Ints, band: Ints, male: Ints) -> pa.StringArray:
    """Invented 18-character resident numbers with a valid check character (GB 11643-1999)."""
    years = np.array(_BAND_YEARS, dtype=np.int64)
    first, last = years[band, 0], years[band, 1]
    year = first + (draws.uniform("birth/year", index) * (last - first + 1)).astype(np.int64)
    month = 1 + draws.below("birth/month", index, 12)
    day = 1 + draws.below("birth/day", index, 28)
    order = 2 * draws.below("order", index, 500) + male
    area = np.array([c.code for c in CITIES], dtype=np.int64)[city]
    body = np.hstack([digits(area, 6), digits(year * 10_000 + month * 100 + day, 8), digits(order, 3)])
    check = _ID_CHECKS[body.astype(np.int64) @ _ID_WEIGHTS % 11]
    return ascii_column(np.hstack([body + np.uint8(ord("0")), check[:, None]]))


def credit_codes(index: Ints, city: Ints) -> pa.StringArray:
    """Invented 18-character social credit codes, both check characters valid (GB 32100-2015, GB 11714)."""
    area = np.array([c.code for c in CITIES], dtype=np.int64)[city]
    serial = index[:, None] // 31 ** np.arange(5, -1, -1, dtype=np.int64) % 31
    codes = np.zeros((len(index), 18), dtype=np.uint8)
    codes[:, 0:2] = np.frombuffer(b"91", dtype=np.uint8)
    codes[:, 2:8] = digits(area, 6) + ord("0")
    codes[:, 8:10] = np.frombuffer(b"MA", dtype=np.uint8)
    codes[:, 10:16] = _CREDIT_ALPHABET[serial]
    codes[:, 16] = organisation_check(codes[:, 8:16])
    codes[:, 17] = credit_check(codes[:, :17])
    return ascii_column(codes)


def organisation_check(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Check character of 8-character organisation codes (GB 11714: mod 11, letters count from 10)."""
    wide = codes.astype(np.int64)
    values = np.where(wide >= ord("A"), wide - ord("A") + 10, wide - ord("0"))
    return np.asarray(_ORGANISATION_CHECKS[(11 - values @ _ORGANISATION_WEIGHTS % 11) % 11], dtype=np.uint8)


def credit_check(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Check character of the first 17 characters of a social credit code (GB 32100-2015: mod 31)."""
    place = np.zeros(256, dtype=np.int64)
    place[_CREDIT_ALPHABET] = np.arange(31)
    weights = np.array([pow(3, power, 31) for power in range(17)], dtype=np.int64)
    return np.asarray(_CREDIT_ALPHABET[(31 - place[codes] @ weights % 31) % 31], dtype=np.uint8)
