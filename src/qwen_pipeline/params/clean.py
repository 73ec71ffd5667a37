"""What the clean stage may be told."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from qwen_pipeline.params.fields import StageParameters, run_time

Language = Literal["zh", "ja", "ko", "ru", "ar", "he", "hi", "th", "el", "en"]


class CleanParameters(StageParameters):
    """Repair, rules of quality, duplicates and the split."""

    repair_mojibake: bool = Field(True, description="Repair mojibake: text that was decoded wrongly before.")
    remove_html: bool = Field(
        True,
        description="Turn entities such as &nbsp; into characters and remove layout tags, but not in code.",
    )
    remove_boilerplate: bool = Field(
        True,
        description="Remove cookie notices, navigation, signatures and marks such as Answer:.",
    )
    mask_personal_data: bool = Field(
        False, description="Mask e-mail addresses, phone, ID and card numbers, keys and tokens."
    )
    min_question_characters: int = Field(1, ge=1, description="Shorter questions are rejected.")
    min_answer_characters: int = Field(1, ge=1, description="Shorter answers are rejected.")
    max_question_characters: int | None = Field(200_000, ge=1, description="Longer questions are rejected.")
    max_answer_characters: int | None = Field(200_000, ge=1, description="Longer answers are rejected.")
    max_repetition: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Answers of 200 characters or more that compress by more than this share are rejected; 0.9 is strict.",
    )
    languages: tuple[Language, ...] = Field(
        (), description="Languages that answers may be in, recognised by script; empty allows all."
    )
    near_duplicates: Literal["drop", "keep", "report"] = Field(
        "drop",
        description="Near duplicates: drop them, do not search for them (keep), or list them and keep the rows (report).",
    )
    near_duplicate_threshold: float = Field(
        0.7,
        ge=0.5,
        le=1,
        description="Smallest share of common character 3-grams, in questions and in answers, that makes a near duplicate.",
    )
    validation_fraction: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of the rows without a split of their own that go to validation.",
    )
    test_fraction: float = Field(
        0.1, ge=0, le=0.5, description="Share of the rows without a split of their own that go to test."
    )
    clean_workers: int | None = run_time(
        None,
        ge=1,
        le=64,
        description="Number of processes that clean rows; None: one per core, or as many as memory is left for.",
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _split_at_plus(cls, value: object) -> object:
        """``--params`` splits at commas, so there lists are written ``zh+en``."""
        return value.split("+") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _leave_rows_for_training(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction leave nothing for training")
        return self
